// The terms of a BatchNormSum as its kernels see them: each thread prepares the numbers of its
// columns once and keeps them in registers.
#pragma once

#include "kernels/batch_norm/batch_norm.h"
#include "kernels/cu.h"

namespace fettle {

/// value = (x - mean) * scale + beta in V neighbouring columns.
template <int V>
struct BatchNormColumns {
  Vec<float, V> mean, scale, beta;

  template <class T>
  __device__ BatchNormColumns(const BatchNormTerm<T>& t, int c) {
    for (int k = 0; k < V; ++k) {
      mean[k] = t.gamma ? t.mean[c + k] : 0.0f;
      scale[k] = t.gamma ? t.gamma[c + k] / std::sqrt(t.variance[c + k] + t.epsilon) : 1.0f;
      beta[k] = t.gamma ? t.beta[c + k] : 0.0f;
    }
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
