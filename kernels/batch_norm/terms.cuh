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
    mean = numbers_of<V>(t.mean + c);
    beta = numbers_of<V>(t.beta + c);
    scale = numbers_of<V>(t.gamma + c);
    const auto inverse = inverse_deviations<V>(t, c);
    for (int k = 0; k < V; ++k) scale[k] *= inverse[k];
  }
};

/// What a BatchNormSum adds: a normalised term, and perhaps a tensor as it is or a second such
/// term.
enum class BatchNormTerms { one, one_and_tensor, two };
constexpr int normalised_terms(BatchNormTerms terms) {
  return terms == BatchNormTerms::two ? 2 : 1;
}
constexpr int tensors_of(BatchNormTerms terms) {
  return terms == BatchNormTerms::one ? 1 : 2;
}

/// V neighbouring elements of each term's tensor.
template <int V, BatchNormTerms terms>
struct BatchNormElements {
  Vec<float, V> x[tensors_of(terms)];

  template <class T>
  __device__ BatchNormElements(const BatchNormSum<T>& sum, int64_t i) {
#pragma unroll
    for (int n = 0; n < tensors_of(terms); ++n) x[n] = load_floats<V>(sum.terms[n].x + i);
  }
};

/// Neighbours whose bits of a mask are in one byte, as a power of two: those of a thread.
template <class T>
constexpr int mask_shift(int64_t C) {
  if (C % in_16_bytes<T> != 0) return 0;
  return in_16_bytes<T> == 8 ? 3 : 2;
}

/// The same on the way back, with dy. Of a tensor that was added as it is the mask tells all.
template <int V, BatchNormTerms terms>
struct BatchNormGradientElements {
  Vec<float, V> x[normalised_terms(terms)], dy;
  unsigned bits = 0;

  template <class T>
  __device__ BatchNormGradientElements(const BatchNormSum<T>& sum, int shift, const T* gradient,
                                       int64_t i)
      : dy(load_floats<V>(gradient + i)) {
#pragma unroll
    for (int n = 0; n < normalised_terms(terms); ++n) x[n] = load_floats<V>(sum.terms[n].x + i);
    if constexpr (terms == BatchNormTerms::one_and_tensor)
      bits = static_cast<unsigned>(sum.mask[i >> shift]) >> (i & ((1 << shift) - 1));
  }
};

/// The numbers of V columns from c on, of each normalised term.
template <int V, BatchNormTerms terms>
struct BatchNormSumColumns {
  static constexpr int normalised = normalised_terms(terms);
  BatchNormColumns<V> of_term[normalised];

  /// What stands before the activation, and each x - mean.
  template <int tensors>
  __device__ Vec<float, V> before(const Vec<float, V> (&x)[tensors],
                                  Vec<float, V> (&deviation)[normalised]) const {
    Vec<float, V> total = {};
#pragma unroll
    for (int n = 0; n < tensors; ++n) {
#pragma unroll
      for (int k = 0; k < V; ++k) {
        if (n < normalised) {
          deviation[n][k] = x[n][k] - of_term[n].mean[k];
          total[k] += deviation[n][k] * of_term[n].scale[k] + of_term[n].beta[k];
        } else {
          total[k] += x[n][k];
        }
      }
    }
    return total;
  }

  /// The gradient before the activation, dz, and each x - mean.
  __device__ Vec<float, V> through(Epilogue epilogue,
                                   const BatchNormGradientElements<V, terms>& elements,
                                   Vec<float, V> (&deviation)[normalised]) const {
    const auto total = before(elements.x, deviation);
    Vec<float, V> dz;
#pragma unroll
    for (int k = 0; k < V; ++k) {
      const bool passes =
          terms == BatchNormTerms::one_and_tensor ? (elements.bits >> k & 1) != 0 : total[k] > 0.0f;
      dz[k] = epilogue == Epilogue::linear || passes ? elements.dy[k] : 0.0f;
    }
    return dz;
  }
};

template <int V, BatchNormTerms terms, class T>
__device__ BatchNormSumColumns<V, terms> batch_norm_columns(const BatchNormSum<T>& sum, int c) {
  if constexpr (terms == BatchNormTerms::two) {
    return {{{sum.terms[0], c}, {sum.terms[1], c}}};
  } else {
    return {{{sum.terms[0], c}}};
  }
}

/// What V elements from i on add to the sums that the parameters' gradients are: dz, and dz *
/// (x - mean) for each normalised term.
template <BatchNormTerms terms, int V, class T>
__device__ void batch_norm_gradients_at(const BatchNormSum<T>& sum,
                                        const BatchNormSumColumns<V, terms>& columns, int shift,
                                        const T* dy, int64_t i,
                                        Vec<float, V> (&values)[1 + normalised_terms(terms)]) {
  constexpr int normalised = normalised_terms(terms);
  Vec<float, V> deviation[normalised];
  values[0] = columns.through(sum.epilogue, {sum, shift, dy, i}, deviation);
  for (int k = 0; k < V; ++k)
    for (int n = 0; n < normalised; ++n) values[1 + n][k] = values[0][k] * deviation[n][k];
}

/// Writes the gradients of column c from these sums.
template <BatchNormTerms terms, class T>
__device__ void write_batch_norm_gradients(const BatchNormSum<T>& sum, int c,
                                           const double (&sums)[1 + normalised_terms(terms)],
                                           const BatchNormGradients& gradients) {
  gradients.dbeta[c] = static_cast<float>(sums[0]);
  for (int n = 0; n < normalised_terms(terms); ++n) {
    const BatchNormTerm<T>& t = sum.terms[n];
    if (!gradients.dgamma[n]) continue;
    gradients.dgamma[n][c] = static_cast<float>(sums[1 + n] / std::sqrt(t.variance[c] + t.epsilon));
  }
}

}  // namespace fettle
