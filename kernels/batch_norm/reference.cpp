#include "kernels/batch_norm/batch_norm.h"

#include <cmath>

namespace fettle {
namespace {

double inverse(const BatchNormTerm<>& t, int64_t c) {
  return 1 / std::sqrt(double{t.variance[c]} + t.epsilon);
}

double before_activation(const BatchNormShape& s, const BatchNormSum<>& sum, int64_t i) {
  const int64_t c = i % s.C;
  double total = 0;
  for (const BatchNormTerm<>& t : sum.terms) {
    if (t.gamma) {
      total += t.gamma[c] * (double{t.x[i]} - t.mean[c]) * inverse(t, c) + t.beta[c];
    } else if (t.x) {
      total += t.x[i];
    }
  }
  return total;
}

double through(const BatchNormShape& s, const BatchNormSum<>& sum, int64_t i, double dy) {
  return sum.epilogue == Epilogue::linear || before_activation(s, sum, i) > 0 ? dy : 0;
}

}  // namespace

void batch_norm_statistics(Reference, const BatchNormShape& s, const float* x, float* mean,
                           float* variance, const BatchNormMoving& moving) {
  for (int64_t c = 0; c < s.C; ++c) {
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < s.rows; ++i) sum += x[i * s.C + c];
    const double centre = sum / static_cast<double>(s.rows);
    for (int64_t i = 0; i < s.rows; ++i) squares += std::pow(x[i * s.C + c] - centre, 2);
    mean[c] = static_cast<float>(centre);
    variance[c] = static_cast<float>(squares / static_cast<double>(s.rows));
    if (!moving.mean) continue;
    const double keep = moving.momentum;
    moving.mean[c] = static_cast<float>(keep * moving.mean[c] + (1 - keep) * mean[c]);
    moving.variance[c] = static_cast<float>(keep * moving.variance[c] + (1 - keep) * variance[c]);
  }
}

int64_t batch_norm_mask_bytes(Reference, const BatchNormShape&, float) {
  return 0;
}

void batch_norm_apply(Reference, const BatchNormShape& s, const BatchNormSum<>& sum, float* y) {
  for (int64_t i = 0; i < s.rows * s.C; ++i) {
    const double value = before_activation(s, sum, i);
    y[i] = static_cast<float>(sum.epilogue == Epilogue::relu && value < 0 ? 0 : value);
  }
}

void batch_norm_backward_parameters(Reference, const BatchNormShape& s, const BatchNormSum<>& sum,
                                    const float* dy, const BatchNormGradients& gradients) {
  for (int64_t c = 0; c < s.C; ++c) {
    double shift = 0, scale[2] = {};
    for (int64_t i = c; i < s.rows * s.C; i += s.C) {
      const double dz = through(s, sum, i, dy[i]);
      shift += dz;
      for (int k = 0; k < 2; ++k) {
        const BatchNormTerm<>& t = sum.terms[k];
        if (t.gamma) scale[k] += dz * (double{t.x[i]} - t.mean[c]) * inverse(t, c);
      }
    }
    gradients.dbeta[c] = static_cast<float>(shift);
    for (int k = 0; k < 2; ++k)
      if (gradients.dgamma[k]) gradients.dgamma[k][c] = static_cast<float>(scale[k]);
  }
}

void batch_norm_backward_input(Reference, const BatchNormShape& s, const BatchNormSum<>& sum,
                               const float* dy, const BatchNormGradients& gradients, float* dx_0,
                               float* dx_1) {
  const auto rows = static_cast<double>(s.rows);
  float* const dx[2] = {dx_0, dx_1};
  for (int64_t i = 0; i < s.rows * s.C; ++i) {
    const int64_t c = i % s.C;
    for (int k = 0; k < 2; ++k) {
      const BatchNormTerm<>& t = sum.terms[k];
      if (!dx[k]) continue;
      double gradient = through(s, sum, i, dy[i]);
      if (t.of_batch) {
        const double normal = (double{t.x[i]} - t.mean[c]) * inverse(t, c);
        gradient -= (gradients.dbeta[c] + normal * gradients.dgamma[k][c]) / rows;
      }
      dx[k][i] = static_cast<float>(t.gamma ? t.gamma[c] * inverse(t, c) * gradient : gradient);
    }
  }
}

}  // namespace fettle
