// The formulas of losses.h, once, in double precision; the CPU and the reference share them and
// differ in how they walk the arrays.
#pragma once

#include <algorithm>
#include <cmath>

#include "kernels/losses/losses.h"

namespace fettle {

/// log of the sum of exponentials of a row.
inline double log_sum_exp(int64_t K, const float* z) {
  const double highest = *std::max_element(z, z + K);
  double total = 0;
  for (int64_t k = 0; k < K; ++k) total += std::exp(z[k] - highest);
  return highest + std::log(total);
}

inline double smoothed(const CategoricalShape& s, bool hit) {
  return (hit ? 1.0 - s.label_smoothing : 0.0) + s.label_smoothing / static_cast<double>(s.K);
}

inline double categorical_loss(const CategoricalShape& s, const float* z, int32_t label,
                               const float* weights) {
  const double log_total = log_sum_exp(s.K, z);
  double loss = 0;
  for (int64_t k = 0; k < s.K; ++k) loss -= smoothed(s, k == label) * (z[k] - log_total);
  return (weights ? weights[label] : 1.0) * loss;
}

inline void categorical_gradient(const CategoricalShape& s, const float* z, int32_t label,
                                 const float* weights, double scale, float* dz) {
  const double log_total = log_sum_exp(s.K, z);
  const double weight = scale * (weights ? weights[label] : 1.0);
  for (int64_t k = 0; k < s.K; ++k) {
    dz[k] = static_cast<float>(weight * (std::exp(z[k] - log_total) - smoothed(s, k == label)));
  }
}

inline double smoothed(const BinaryShape& s, double t) {
  return t * (1.0 - s.label_smoothing) + 0.5 * s.label_smoothing;
}

inline double binary_loss(const BinaryShape& s, double z, double t) {
  const double loss = std::max(z, 0.0) - z * smoothed(s, t) + std::log1p(std::exp(-std::abs(z)));
  return s.weight[t >= 0.5] * loss;
}

inline double binary_gradient(const BinaryShape& s, double z, double t) {
  return s.weight[t >= 0.5] * (1.0 / (1.0 + std::exp(-z)) - smoothed(s, t));
}

/// A group's sums and what follows from them.
struct Tversky {
  double tp, p, t;

  double denominator(const TverskyShape& s) const {
    return tp + s.false_negative_weight * (t - tp) + s.false_positive_weight * (p - tp) + s.smooth;
  }
  double index(const TverskyShape& s) const {
    const double below = denominator(s);
    return below > 0 ? (tp + s.smooth) / below : 1.0;  // nothing there and nothing found
  }
  double loss(const TverskyShape& s) const {
    return std::pow(std::max(1.0 - index(s), 0.0), s.exponent);
  }
};

/// The derivative of a group's loss by one probability is `hit` * t + `miss` * (1 - t).
struct TverskySlope {
  double hit, miss;
};

inline TverskySlope tversky_slope(const TverskyShape& s, const Tversky& group) {
  const double below = group.denominator(s), above = group.tp + s.smooth;
  if (!(below > 0)) return {0, 0};
  const double outer =
      -s.exponent * std::pow(std::max(1.0 - group.index(s), 1e-6), s.exponent - 1.0);
  const double a = s.false_negative_weight, b = s.false_positive_weight;
  return {outer * (below - above * (1.0 - a)) / (below * below),
          outer * (-above * b) / (below * below)};
}

}  // namespace fettle
