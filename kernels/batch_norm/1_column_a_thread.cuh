// Rung 1: one thread goes down one column. A warp reads 32 neighbouring columns of a row, which is
// as good as reading can be; but 64 channels keep 64 threads busy on a GPU that has room for a
// hundred thousand.
//
// Variance by Welford's recurrence: mean and sum of squares about it move together, so that nothing
// large is ever subtracted from something large. Welford, Technometrics 4, 1962. Bytes: each
// element is read once; the limit is the latency of one load after the other.
#pragma once

#include "kernels/batch_norm/terms.cuh"

namespace fettle {

template <class T>
__global__ void __launch_bounds__(256)
    batch_norm_statistics_column_kernel(int64_t rows, int64_t C, const T* __restrict__ x,
                                        float* __restrict__ mean, float* __restrict__ variance,
                                        BatchNormMoving moving) {
  wait_for_kernels_before();
  for (int64_t c = strided_first(); c < C; c += strided_step()) {
    float average = 0, squares = 0;
#pragma unroll 1
    for (int64_t i = 0; i < rows; ++i) {
      const float value = to_float(x[i * C + c]), delta = value - average;
      average += delta / static_cast<float>(i + 1);
      squares += delta * (value - average);
    }
    mean[c] = average;
    variance[c] = squares / static_cast<float>(rows);
    moving.follow(c, mean[c], variance[c]);
  }
}

template <BatchNormTerms terms, class T>
__global__ void __launch_bounds__(256)
    batch_norm_parameters_column_kernel(int64_t rows, int64_t C, BatchNormSum<T> sum,
                                        const T* __restrict__ dy, BatchNormGradients gradients) {
  wait_for_kernels_before();
  for (int64_t c = strided_first(); c < C; c += strided_step()) {
    const auto columns = batch_norm_columns<1, terms>(sum, static_cast<int>(c));
    const int shift = mask_shift<T>(C);
    constexpr int count = 1 + normalised_terms(terms);
    double sums[count] = {};
#pragma unroll 1
    for (int64_t i = 0; i < rows; ++i) {
      Vec<float, 1> values[count];
      batch_norm_gradients_at<terms>(sum, columns, shift, dy, i * C + c, values);
      for (int n = 0; n < count; ++n) sums[n] += values[n][0];
    }
    write_batch_norm_gradients<terms>(sum, static_cast<int>(c), sums, gradients);
  }
}

}  // namespace fettle
