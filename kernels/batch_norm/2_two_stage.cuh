// Rung 2: many blocks share a column. Each sums a chunk of rows, and a second kernel adds the
// chunks (column_sums.cuh), so that the whole GPU reads at once.
//
// Mean and variance come from one pass: the sums of x - shift and of its square, about the mean of
// four rows, which lies as near to the true one as a few deviations. So nothing large is subtracted
// from something large. Chan, Golub, LeVeque, The American Statistician 37, 1983, compare the ways.
// Bytes an element in fp32: 4 for the statistics, 8 for the gradients of gamma and beta, which are
// formed together, or 12 where two terms are added. The limit is memory bandwidth.
#pragma once

#include "kernels/batch_norm/terms.cuh"
#include "kernels/column_sums.cuh"

namespace fettle {

/// Where the statistics of columns go, from the sums of x - shift and of its squares.
struct BatchNormStatistics {
  int64_t rows;
  float *mean, *variance;
  BatchNormMoving moving;

  __device__ void write(int c, float shift, const double (&sums)[2]) const {
    const double n = static_cast<double>(rows), beyond = sums[0] / n;
    const double spread = sums[1] / n - beyond * beyond;
    mean[c] = static_cast<float>(shift + beyond);
    variance[c] = static_cast<float>(spread > 0 ? spread : 0);
    moving.follow(c, mean[c], variance[c]);
  }
  /// The finish of sums without a shift.
  __device__ void operator()(int64_t, int c, const double (&sums)[2]) const { write(c, 0, sums); }
};

template <class T>
struct BatchNormMoments {
  const T* x;
  int64_t C;
  BatchNormStatistics statistics;

  template <int V>
  __device__ Vec<float, V> columns(int c) const {
    Vec<float, V> shift = {};
    for (int quarter = 0; quarter < 4; ++quarter) {
      const auto row = load_floats<V>(x + statistics.rows * quarter / 4 * C + c);
      for (int k = 0; k < V; ++k) shift[k] += 0.25f * row[k];
    }
    return shift;
  }
  template <int V>
  __device__ void at(int64_t i, const Vec<float, V>& shift, Vec<float, V> (&values)[2]) const {
    values[0] = load_floats<V>(x + i);
    for (int k = 0; k < V; ++k) {
      values[0][k] -= shift[k];
      values[1][k] = values[0][k] * values[0][k];
    }
  }
  __device__ void operator()(int64_t, int c, const double (&sums)[2]) const {
    statistics.write(c, columns<1>(c)[0], sums);
  }
};

template <BatchNormTerms terms, class T>
struct BatchNormParameters {
  static constexpr int count = 1 + normalised_terms(terms);
  /// As many as leave the registers to two blocks.
  static constexpr int rows_at_once = terms == BatchNormTerms::two ? 2 : 4;
  BatchNormSum<T> sum;
  int mask_shift;
  const T* dy;
  BatchNormGradients gradients;

  template <int V>
  __device__ auto columns(int c) const {
    return batch_norm_columns<V, terms>(sum, c);
  }
  template <int V>
  __device__ void at(int64_t i, const BatchNormSumColumns<V, terms>& columns,
                     Vec<float, V> (&values)[count]) const {
    batch_norm_gradients_at<terms>(sum, columns, mask_shift, dy, i, values);
  }
  __device__ void operator()(int64_t, int c, const double (&sums)[count]) const {
    write_batch_norm_gradients<terms>(sum, c, sums, gradients);
  }
};

}  // namespace fettle
