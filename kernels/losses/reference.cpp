// The definitions, written out without the rearrangements that formulas.h makes for speed and
// range.
#include <cmath>
#include <vector>

#include "kernels/losses/losses.h"

namespace fettle {
namespace {

std::vector<double> softmax(int64_t K, const float* z) {
  std::vector<double> p;
  double total = 0;
  for (int64_t k = 0; k < K; ++k) {
    p.push_back(std::exp(static_cast<double>(z[k])));
    total += p.back();
  }
  for (double& value : p) value /= total;
  return p;
}

double target(const CategoricalShape& s, int64_t k, int32_t label) {
  return (1 - s.label_smoothing) * (k == label) + s.label_smoothing / static_cast<double>(s.K);
}

double target(const BinaryShape& s, float t) {
  return t * (1.0 - s.label_smoothing) + 0.5 * s.label_smoothing;
}

/// -(1 - p)^gamma * log p, and its derivative by p.
double focal(double gamma, double p) {
  return -std::pow(1 - p, gamma) * std::log(p);
}
double focal_derivative(double gamma, double p) {
  const double inner = gamma > 0 ? gamma * std::pow(1 - p, gamma - 1) * std::log(p) : 0;
  return inner - std::pow(1 - p, gamma) / p;
}

double sigmoid(double z) {
  return 1 / (1 + std::exp(-z));
}

/// Calls f(element, group) for every element.
template <class F>
void for_each_element(const TverskyShape& s, const F& f) {
  for (int64_t n = 0; n < s.N; ++n)
    for (int64_t i = 0; i < s.pixels; ++i)
      for (int64_t c = 0; c < s.C; ++c)
        f((n * s.pixels + i) * s.C + c, s.grouping == Grouping::batch     ? 0
                                        : s.grouping == Grouping::picture ? n
                                                                          : c);
}

}  // namespace

void categorical_cross_entropy_forward(Reference, const CategoricalShape& s, const float* logits,
                                       const int32_t* labels, const float* class_weights,
                                       float* loss) {
  for (int64_t n = 0; n < s.N; ++n) {
    const std::vector<double> p = softmax(s.K, logits + n * s.K);
    double total = 0;
    for (int64_t k = 0; k < s.K; ++k) total += target(s, k, labels[n]) * focal(s.gamma, p[k]);
    loss[n] = static_cast<float>(total * (class_weights ? class_weights[labels[n]] : 1));
  }
}

void categorical_cross_entropy_backward(Reference, const CategoricalShape& s, const float* logits,
                                        const int32_t* labels, const float* class_weights,
                                        const float* dloss, float* dlogits) {
  for (int64_t n = 0; n < s.N; ++n) {
    const std::vector<double> p = softmax(s.K, logits + n * s.K);
    const double weight = class_weights ? class_weights[labels[n]] : 1;
    for (int64_t k = 0; k < s.K; ++k) {
      double slope = 0;  // dp[j] / dz[k] = p[j] * ([j == k] - p[k])
      for (int64_t j = 0; j < s.K; ++j)
        slope +=
            target(s, j, labels[n]) * focal_derivative(s.gamma, p[j]) * p[j] * ((j == k) - p[k]);
      dlogits[n * s.K + k] =
          static_cast<float>(dloss[0] * weight * slope / static_cast<double>(s.N));
    }
  }
}

void binary_cross_entropy_forward(Reference, const BinaryShape& s, const float* logits,
                                  const float* targets, const float* weights, float* loss) {
  for (int64_t i = 0; i < s.n; ++i) {
    const double p = sigmoid(logits[i]), t = target(s, targets[i]);
    const double weight = weights ? weights[i % s.labels * 2 + (targets[i] >= 0.5f)] : 1;
    loss[i] =
        static_cast<float>(weight * (t * focal(s.gamma, p) + (1 - t) * focal(s.gamma, 1 - p)));
  }
}

void binary_cross_entropy_backward(Reference, const BinaryShape& s, const float* logits,
                                   const float* targets, const float* weights, const float* dloss,
                                   float* dlogits) {
  for (int64_t i = 0; i < s.n; ++i) {
    const double weight = weights ? weights[i % s.labels * 2 + (targets[i] >= 0.5f)] : 1;
    const double p = sigmoid(logits[i]), t = target(s, targets[i]);
    const double slope =
        t * focal_derivative(s.gamma, p) - (1 - t) * focal_derivative(s.gamma, 1 - p);
    dlogits[i] =
        static_cast<float>(dloss[0] * weight * slope * p * (1 - p) / static_cast<double>(s.n));
  }
}

void tversky_forward(Reference, const TverskyShape& s, const float* probabilities,
                     const float* targets, float* sums, float* loss) {
  std::vector<double> tp(s.groups()), fn(s.groups()), fp(s.groups());
  for_each_element(s, [&](int64_t i, int64_t group) {
    const double p = probabilities[i], t = targets[i];
    tp[group] += p * t;
    fn[group] += (1 - p) * t;
    fp[group] += p * (1 - t);
  });
  double total = 0;
  for (int64_t g = 0; g < s.groups(); ++g) {
    sums[3 * g] = static_cast<float>(tp[g]);
    sums[3 * g + 1] = static_cast<float>(tp[g] + fp[g]);
    sums[3 * g + 2] = static_cast<float>(tp[g] + fn[g]);
    if (s.skip_empty && tp[g] + fn[g] == 0) continue;
    const double index = (tp[g] + s.smooth) / (tp[g] + s.false_negative_weight * fn[g] +
                                               s.false_positive_weight * fp[g] + s.smooth);
    total += std::pow(1 - index, static_cast<double>(s.exponent));
  }
  loss[0] = static_cast<float>(total / static_cast<double>(s.groups()));
}

void tversky_backward(Reference, const TverskyShape& s, const float* targets, const float* sums,
                      const float* dloss, float* dprobabilities) {
  for_each_element(s, [&](int64_t i, int64_t group) {
    const double tp = sums[3 * group], fp = sums[3 * group + 1] - tp, fn = sums[3 * group + 2] - tp;
    const double a = s.false_negative_weight, b = s.false_positive_weight, t = targets[i];
    if (s.skip_empty && tp + fn == 0) {
      dprobabilities[i] = 0;
      return;
    }
    const double above = tp + s.smooth, below = tp + a * fn + b * fp + s.smooth;
    const double dabove = t, dbelow = t - a * t + b * (1 - t);  // by this probability
    const double dindex = (dabove * below - above * dbelow) / (below * below);
    const double slope = s.exponent * std::pow(1 - above / below, s.exponent - 1.0);
    dprobabilities[i] =
        static_cast<float>(dloss[0] * -slope * dindex / static_cast<double>(s.groups()));
  });
}

}  // namespace fettle
