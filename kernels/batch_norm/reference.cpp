#include "kernels/batch_norm/batch_norm.h"

#include <cmath>

namespace fettle {
namespace {
double inverse(float variance, float epsilon) {
  return 1 / std::sqrt(double{variance} + epsilon);
}
}  // namespace

void batch_norm_statistics(Reference, const BatchNormShape& s, const float* x, float* mean,
                           float* variance) {
  for (int64_t c = 0; c < s.C; ++c) {
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < s.rows; ++i) sum += x[i * s.C + c];
    const double centre = sum / static_cast<double>(s.rows);
    for (int64_t i = 0; i < s.rows; ++i) squares += std::pow(x[i * s.C + c] - centre, 2);
    mean[c] = static_cast<float>(centre);
    variance[c] = static_cast<float>(squares / static_cast<double>(s.rows));
  }
}

void batch_norm_apply(Reference, const BatchNormShape& s, float epsilon, const float* x,
                      const float* gamma, const float* beta, const float* mean,
                      const float* variance, float* y) {
  for (int64_t i = 0; i < s.rows * s.C; ++i) {
    const int64_t c = i % s.C;
    const double normal = (double{x[i]} - mean[c]) * inverse(variance[c], epsilon);
    y[i] = static_cast<float>(gamma[c] * normal + beta[c]);
  }
}

void batch_norm_backward_parameters(Reference, const BatchNormShape& s, float epsilon,
                                    const float* dy, const float* x, const float* mean,
                                    const float* variance, float* dgamma, float* dbeta) {
  for (int64_t c = 0; c < s.C; ++c) {
    double scale = 0, shift = 0;
    for (int64_t i = c; i < s.rows * s.C; i += s.C) {
      scale += dy[i] * (double{x[i]} - mean[c]) * inverse(variance[c], epsilon);
      shift += dy[i];
    }
    dgamma[c] = static_cast<float>(scale);
    dbeta[c] = static_cast<float>(shift);
  }
}

void batch_norm_backward_input(Reference, const BatchNormShape& s, float epsilon, bool of_batch,
                               const float* dy, const float* x, const float* gamma,
                               const float* mean, const float* variance, const float* dgamma,
                               const float* dbeta, float* dx) {
  const auto rows = static_cast<double>(s.rows);
  for (int64_t i = 0; i < s.rows * s.C; ++i) {
    const int64_t c = i % s.C;
    const double scale = inverse(variance[c], epsilon);
    double gradient = dy[i];
    if (of_batch) {
      gradient -= dbeta[c] / rows + (double{x[i]} - mean[c]) * scale * dgamma[c] / rows;
    }
    dx[i] = static_cast<float>(gamma[c] * scale * gradient);
  }
}

}  // namespace fettle
