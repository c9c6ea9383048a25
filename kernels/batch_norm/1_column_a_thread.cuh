// Rung 1: one thread goes down one column. A warp reads 32 neighbouring columns of a row, which is
// as good as reading can be; but 64 channels keep 64 threads busy on a GPU that has room for a
// hundred thousand.
//
// Variance by Welford's recurrence: mean and sum of squares about it move together, so that nothing
// large is ever subtracted from something large. Welford, Technometrics 4, 1962. Bytes: each
// element is read once; the limit is the latency of one load after the other.
#pragma once

#include "kernels/batch_norm/batch_norm.h"
#include "kernels/cu.h"

namespace fettle {

__global__ void __launch_bounds__(256)
    batch_norm_statistics_column_kernel(int64_t rows, int64_t C, const float* __restrict__ x,
                                        float* __restrict__ mean, float* __restrict__ variance) {
  for (int64_t c = strided_first(); c < C; c += strided_step()) {
    float average = 0, squares = 0;
#pragma unroll 1
    for (int64_t i = 0; i < rows; ++i) {
      const float delta = x[i * C + c] - average;
      average += delta / static_cast<float>(i + 1);
      squares += delta * (x[i * C + c] - average);
    }
    mean[c] = average;
    variance[c] = squares / static_cast<float>(rows);
  }
}

__global__ void __launch_bounds__(256)
    batch_norm_parameters_column_kernel(int64_t rows, int64_t C, float epsilon,
                                        const float* __restrict__ dy, const float* __restrict__ x,
                                        const float* __restrict__ mean,
                                        const float* __restrict__ variance,
                                        float* __restrict__ dgamma, float* __restrict__ dbeta) {
  for (int64_t c = strided_first(); c < C; c += strided_step()) {
    const float inverse = 1.0f / std::sqrt(variance[c] + epsilon);
    double gamma = 0, beta = 0;
#pragma unroll 1
    for (int64_t i = 0; i < rows; ++i) {
      const float gradient = dy[i * C + c];
      gamma += gradient * (x[i * C + c] - mean[c]);
      beta += gradient;
    }
    dgamma[c] = static_cast<float>(gamma * inverse);
    dbeta[c] = static_cast<float>(beta);
  }
}

}  // namespace fettle
