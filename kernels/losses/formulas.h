// The formulas of losses.h, once, in the arithmetic T: double on the CPU, float on the GPU. The
// sums of the Tversky family are few and stay double everywhere. The focal losses stand apart: a
// power takes as long as all the rest.
#pragma once

#include <cmath>

#include "kernels/losses/losses.h"

namespace fettle {

/// A class's part of the focal loss by l = log p: -(1 - p)^gamma * l.
template <class T>
FETTLE_HOST_DEVICE inline T focal(T gamma, T l) {
  return -l * (gamma == 0 ? T{1} : std::pow(-std::expm1(l), gamma));
}

/// Its derivative by l; 0 where p is 1.
template <class T>
FETTLE_HOST_DEVICE inline T focal_slope(T gamma, T l) {
  if (gamma == 0) return -1;
  const T miss = -std::expm1(l);
  return miss > 0 ? std::pow(miss, gamma) * (gamma * l * std::exp(l) / miss - 1) : T{0};
}

/// log softmax(z)[k] = z[k] - highest - log_total.
template <class T>
struct RowTotal {
  T highest, log_total;

  FETTLE_HOST_DEVICE T log_softmax(float z) const {
    return (z - highest) -
           log_total;  // highest + log_total would round the small one's digits away
  }
};

/// A row of logits that one thread works on. Where a team does, it has a row with the same members
/// (kernels/row_loop.cuh): `each` and `store` go over a thread's share, `sum` and `max` over the
/// team, and `at` reads one for every thread.
struct RowAlone {
  const float* z;
  int64_t K;

  template <class T>
  FETTLE_HOST_DEVICE T sum(T value) const {
    return value;
  }
  template <class T>
  FETTLE_HOST_DEVICE T max(T value) const {
    return value;
  }
  template <class F>
  FETTLE_HOST_DEVICE void each(const F& f) const {
    for (int64_t k = 0; k < K; ++k) f(k, z[k]);
  }
  template <class F>
  FETTLE_HOST_DEVICE void store(float* to, const F& f) const {
    for (int64_t k = 0; k < K; ++k) to[k] = f(k, z[k]);
  }
  FETTLE_HOST_DEVICE float at(int64_t k) const { return z[k]; }
};

template <class T, class Row>
FETTLE_HOST_DEVICE inline RowTotal<T> row_total(const Row& row) {
  T highest = -3.402823466e38f, total = 0;
  row.each([&](int64_t, float z) { highest = z > highest ? z : highest; });
  highest = row.max(highest);
  row.each([&](int64_t, float z) { total += std::exp(z - highest); });
  return {highest, std::log(row.sum(total))};
}

/// A row's smoothed one-hot target.
template <class T>
struct SmoothedLabel {
  int32_t label;
  T hit, miss;

  FETTLE_HOST_DEVICE SmoothedLabel(const CategoricalShape& s, int32_t label)
      : label(label),
        hit(T{1} - s.label_smoothing + s.label_smoothing / static_cast<T>(s.K)),
        miss(s.label_smoothing / static_cast<T>(s.K)) {}
  FETTLE_HOST_DEVICE T operator()(int64_t k) const { return k == label ? hit : miss; }
};

template <class T, class Row>
FETTLE_HOST_DEVICE inline T categorical_loss(const CategoricalShape& s, const Row& row,
                                             int32_t label, const float* weights) {
  const RowTotal<T> of_row = row_total<T>(row);
  const SmoothedLabel<T> target(s, label);
  T loss = (target.miss - target.hit) * of_row.log_softmax(row.at(label));
  if (target.miss > 0) {
    T all = 0;
    row.each([&](int64_t, float z) { all += of_row.log_softmax(z); });
    loss -= target.miss * row.sum(all);
  }
  return (weights ? weights[label] : T{1}) * loss;
}

template <class T, class Row>
FETTLE_HOST_DEVICE inline T categorical_focal_loss(const CategoricalShape& s, const Row& row,
                                                   int32_t label, const float* weights) {
  const RowTotal<T> of_row = row_total<T>(row);
  const SmoothedLabel<T> target(s, label);
  T loss = 0;
  row.each(
      [&](int64_t k, float z) { loss += target(k) * focal<T>(s.gamma, of_row.log_softmax(z)); });
  return (weights ? weights[label] : T{1}) * row.sum(loss);
}

template <class T, class Row>
FETTLE_HOST_DEVICE inline void categorical_gradient(const CategoricalShape& s, const Row& row,
                                                    int32_t label, const float* weights, T scale,
                                                    float* dz) {
  const RowTotal<T> of_row = row_total<T>(row);
  const T weight = scale * (weights ? weights[label] : T{1});
  const SmoothedLabel<T> target(s, label);
  row.store(dz, [&](int64_t k, float z) {
    return static_cast<float>(weight * (std::exp(of_row.log_softmax(z)) - target(k)));
  });
}

template <class T, class Row>
FETTLE_HOST_DEVICE inline void categorical_focal_gradient(const CategoricalShape& s, const Row& row,
                                                          int32_t label, const float* weights,
                                                          T scale, float* dz) {
  const RowTotal<T> of_row = row_total<T>(row);
  const T weight = scale * (weights ? weights[label] : T{1});
  const SmoothedLabel<T> target(s, label);
  const auto slope = [&](int64_t k, T log_p) { return target(k) * focal_slope<T>(s.gamma, log_p); };
  T total = 0;
  row.each([&](int64_t k, float z) { total += slope(k, of_row.log_softmax(z)); });
  total = row.sum(total);
  row.store(dz, [&](int64_t k, float z) {
    const T log_p = of_row.log_softmax(z);
    return static_cast<float>(weight * (slope(k, log_p) - std::exp(log_p) * total));
  });
}

template <class T>
FETTLE_HOST_DEVICE inline T smoothed(const BinaryShape& s, T t) {
  return t * (T{1} - s.label_smoothing) + T{0.5f} * s.label_smoothing;
}

/// The weights of elements, from the i-th on, by their targets.
class BinaryWeights {
 public:
  FETTLE_HOST_DEVICE BinaryWeights(const BinaryShape& s, const float* weights, int64_t i)
      : weights_(weights), labels_(s.labels), label_(weights ? i % s.labels : 0) {}
  FETTLE_HOST_DEVICE float next(float t) {
    if (!weights_) return 1;
    const float weight = weights_[2 * label_ + (t >= 0.5f)];
    label_ = label_ + 1 < labels_ ? label_ + 1 : 0;
    return weight;
  }

 private:
  const float* weights_;
  int64_t labels_, label_;
};

template <class T>
FETTLE_HOST_DEVICE inline T binary_loss(const BinaryShape& s, T weight, T z, T t) {
  const T rest = std::log1p(std::exp(-std::fabs(z))), more = z > 0 ? z : T{0};
  return weight * (more - z * smoothed(s, t) + rest);
}

template <class T>
FETTLE_HOST_DEVICE inline T binary_focal_loss(const BinaryShape& s, T weight, T z, T t) {
  const T target = smoothed(s, t);
  const T rest = std::log1p(std::exp(-std::fabs(z)));
  const T less = z < 0 ? z : T{0}, more = z > 0 ? z : T{0};
  return weight * (target * focal<T>(s.gamma, less - rest) +
                   (T{1} - target) * focal<T>(s.gamma, -more - rest));
}

template <class T>
FETTLE_HOST_DEVICE inline T binary_gradient(const BinaryShape& s, T weight, T z, T t) {
  return weight * (T{1} / (T{1} + std::exp(-z)) - smoothed(s, t));
}

template <class T>
FETTLE_HOST_DEVICE inline T binary_focal_gradient(const BinaryShape& s, T weight, T z, T t) {
  const T target = smoothed(s, t);
  const T p = T{1} / (T{1} + std::exp(-z));
  const T rest = std::log1p(std::exp(-std::fabs(z)));
  const T log_p = (z < 0 ? z : T{0}) - rest, log_q = (z > 0 ? -z : T{0}) - rest;
  return weight * (target * focal_slope<T>(s.gamma, log_p) * std::exp(log_q) -
                   (T{1} - target) * focal_slope<T>(s.gamma, log_q) * p);
}

/// A group's sums and what follows from them.
struct Tversky {
  double tp, p, t;

  FETTLE_HOST_DEVICE double denominator(const TverskyShape& s) const {
    return tp + s.false_negative_weight * (t - tp) + s.false_positive_weight * (p - tp) + s.smooth;
  }
  FETTLE_HOST_DEVICE double index(const TverskyShape& s) const {
    const double below = denominator(s);
    return below > 0 ? (tp + s.smooth) / below : 1.0;  // nothing there and nothing found
  }
  FETTLE_HOST_DEVICE bool skipped(const TverskyShape& s) const { return s.skip_empty && t == 0; }
  FETTLE_HOST_DEVICE double loss(const TverskyShape& s) const {
    if (skipped(s)) return 0;
    const double miss = 1.0 - index(s);
    return std::pow(miss > 0 ? miss : 0.0, static_cast<double>(s.exponent));
  }
};

/// The derivative of a group's loss by one probability is `hit` * t + `miss` * (1 - t).
struct TverskySlope {
  double hit, miss;
};

FETTLE_HOST_DEVICE inline TverskySlope tversky_slope(const TverskyShape& s, const Tversky& group) {
  const double below = group.denominator(s), above = group.tp + s.smooth;
  if (!(below > 0) || group.skipped(s)) return {0, 0};
  const double miss = 1.0 - group.index(s);
  const double outer = -s.exponent * std::pow(miss > 1e-6 ? miss : 1e-6, s.exponent - 1.0);
  const double a = s.false_negative_weight, b = s.false_positive_weight;
  return {outer * (below - above * (1.0 - a)) / (below * below),
          outer * (-above * b) / (below * below)};
}

}  // namespace fettle
