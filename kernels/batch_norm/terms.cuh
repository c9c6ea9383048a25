// The terms of a BatchNormSum as its kernels see them: each thread prepares the numbers of its
// columns once and keeps them in registers.
#pragma once

#include "kernels/batch_norm/batch_norm.h"
#include "kernels/cu.h"

namespace fettle {

/// V neighbouring numbers of columns, aligned to 16 bytes where there are several.
template <int V>
__device__ __forceinline__ Vec<float, V> numbers_of(const float* p) {
  if constexpr (V == 1) {
    return {{p[0]}};
  } else {
    Vec<float, V> all;
#pragma unroll
    for (int k = 0; k < V; k += 4) {
      const auto four = load_vec<4>(p + k);
#pragma unroll
      for (int e = 0; e < 4; ++e) all[k + e] = four[e];
    }
    return all;
  }
}

/// 1 / sqrt(variance + epsilon) of V columns from c on.
template <int V, class T>
__device__ __forceinline__ Vec<float, V> inverse_deviations(const BatchNormTerm<T>& t, int c) {
  auto inverse = numbers_of<V>(t.variance + c);
#pragma unroll
  for (int k = 0; k < V; ++k) inverse[k] = inverse_sqrt(inverse[k] + t.epsilon);
  return inverse;
}

/// value = (x - mean) * scale + beta in V neighbouring columns.
template <int V>
struct BatchNormColumns {
  Vec<float, V> mean, scale, beta;

  template <class T>
  __device__ BatchNormColumns(const BatchNormTerm<T>& t, int c) {
    if (!t.gamma) {
      for (int k = 0; k < V; ++k) mean[k] = 0, scale[k] = 1, beta[k] = 0;
      return;
    }
    mean = numbers_of<V>(t.mean + c);
    beta = numbers_of<V>(t.beta + c);
    scale = numbers_of<V>(t.gamma + c);
    const auto inverse = inverse_deviations<V>(t, c);
    for (int k = 0; k < V; ++k) scale[k] *= inverse[k];
  }
};

/// Both terms in V columns, or, unless `two`, the first alone.
template <int V, bool two>
struct BatchNormSumColumns {
  BatchNormColumns<V> terms[1 + two];

  /// What stands before the activation at i, and each x - mean.
  template <class T>
  __device__ Vec<float, V> before(const BatchNormSum<T>& sum, int64_t i,
                                  Vec<float, V> (&deviation)[1 + two]) const {
    Vec<float, V> total = {};
    for (int n = 0; n <= two; ++n) {
      deviation[n] = load_floats<V>(sum.terms[n].x + i);
      for (int k = 0; k < V; ++k) {
        deviation[n][k] -= terms[n].mean[k];
        total[k] += deviation[n][k] * terms[n].scale[k] + terms[n].beta[k];
      }
    }
    return total;
  }
};

template <int V, bool two, class T>
__device__ BatchNormSumColumns<V, two> batch_norm_columns(const BatchNormSum<T>& sum, int c) {
  if constexpr (two) {
    return {{{sum.terms[0], c}, {sum.terms[1], c}}};
  } else {
    return {{{sum.terms[0], c}}};
  }
}

/// The gradient before the activation.
__device__ __forceinline__ float batch_norm_through(Epilogue epilogue, float before, float dy) {
  return epilogue == Epilogue::linear || before > 0.0f ? dy : 0.0f;
}

/// What V elements from i on add to the sums that the parameters' gradients are: dz, and dz *
/// (x - mean) for each term.
template <bool two, int V, class T>
__device__ void batch_norm_gradients_at(const BatchNormSum<T>& sum,
                                        const BatchNormSumColumns<V, two>& columns, const T* dy,
                                        int64_t i, Vec<float, V> (&values)[2 + two]) {
  Vec<float, V> deviation[1 + two];
  const auto before = columns.before(sum, i, deviation);
  values[0] = load_floats<V>(dy + i);
  for (int k = 0; k < V; ++k) {
    values[0][k] = batch_norm_through(sum.epilogue, before[k], values[0][k]);
    for (int n = 0; n <= two; ++n) values[1 + n][k] = values[0][k] * deviation[n][k];
  }
}

/// Writes the gradients of column c from these sums.
template <bool two, class T>
__device__ void write_batch_norm_gradients(const BatchNormSum<T>& sum, int c,
                                           const double (&sums)[2 + two],
                                           const BatchNormGradients& gradients) {
  gradients.dbeta[c] = static_cast<float>(sums[0]);
  for (int n = 0; n <= two; ++n) {
    const BatchNormTerm<T>& t = sum.terms[n];
    if (!gradients.dgamma[n]) continue;
    gradients.dgamma[n][c] = static_cast<float>(sums[1 + n] / std::sqrt(t.variance[c] + t.epsilon));
  }
}

}  // namespace fettle
