// Rung 2: many blocks share a column. Each sums a chunk of rows, and a second kernel adds the
// chunks (column_sums.cuh), so that the whole GPU reads at once.
//
// The variance takes a second pass over x, about the mean that the first has found: exact for any
// mean, and for a layer that fits the second-level cache nearly free. Chan, Golub, LeVeque, The
// American Statistician 37, 1983, compare the ways. Bytes an element: 8 for the statistics, 8 for
// the gradients of gamma and beta, which are formed together, or 12 where two terms are added. The
// limit is memory bandwidth.
#pragma once

#include "kernels/batch_norm/terms.cuh"
#include "kernels/column_sums.cuh"

namespace fettle {

struct BatchNormMean {
  const float* x;
  int64_t rows, C;
  float* mean;
  __device__ void operator()(int64_t, int64_t row, int column, float (&values)[1]) const {
    values[0] = x[row * C + column];
  }
  __device__ void operator()(int64_t, int column, const double (&sums)[1]) const {
    mean[column] = static_cast<float>(sums[0] / static_cast<double>(rows));
  }
};

struct BatchNormVariance {
  const float *x, *mean;
  int64_t rows, C;
  float* variance;
  __device__ void operator()(int64_t, int64_t row, int column, float (&values)[1]) const {
    const float deviation = x[row * C + column] - mean[column];
    values[0] = deviation * deviation;
  }
  __device__ void operator()(int64_t, int column, const double (&sums)[1]) const {
    variance[column] = static_cast<float>(sums[0] / static_cast<double>(rows));
  }
};

template <bool two>
struct BatchNormParameters {
  BatchNormSum sum;
  int64_t C;
  const float* dy;
  BatchNormGradients gradients;

  struct InColumn {
    BatchNormSum sum;
    int64_t C;
    const float* dy;
    BatchNormSumColumns<1, two> columns;
    __device__ void operator()(int64_t, int64_t row, int column, float (&values)[2 + two]) const {
      batch_norm_gradient_at<two>(sum, columns, dy, row * C + column, values);
    }
  };
  __device__ InColumn in_column(int column) const {
    return {sum, C, dy, batch_norm_columns<1, two>(sum, column)};
  }
  __device__ void operator()(int64_t, int column, const double (&sums)[2 + two]) const {
    write_batch_norm_gradients<two>(sum, column, sums, gradients);
  }
};

}  // namespace fettle
