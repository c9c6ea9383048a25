// The filters as backward input by rung 6 in tf32 reads them: wgmma takes tf32 along the summed
// axis only, and that is the output channels.
#pragma once

#include "kernels/conv2d/conv2d.h"
#include "kernels/cu.h"

namespace fettle {

struct TransposeShared {
  float v[32][33];  ///< a column more than needed keeps a column's lines in different banks
};

/// One block: 32x32 filters and channels of one tap; one thread: four of them. Bytes an element: 4
/// read, 4 written, both in whole lines of 128; limited by memory bandwidth.
__global__ void __launch_bounds__(256)
    conv2d_transpose_filters_kernel(int K, int taps, int C, const float* __restrict__ w,
                                    float* __restrict__ out) {
  wait_for_kernels_before();
  auto& tile = shared<TransposeShared>().v;
  const int tx = static_cast<int>(threadIdx.x), ty = static_cast<int>(threadIdx.y);
  const int c0 = static_cast<int>(blockIdx.x) * 32, k0 = static_cast<int>(blockIdx.y) * 32;
  const int tap = static_cast<int>(blockIdx.z);
#pragma unroll
  for (int i = ty; i < 32; i += 8) {
    const int k = k0 + i, c = c0 + tx;
    if (k < K && c < C) tile[i][tx] = w[(int64_t{k} * taps + tap) * C + c];
  }
  __syncthreads();
#pragma unroll
  for (int i = ty; i < 32; i += 8) {
    const int c = c0 + i, k = k0 + tx;
    if (k < K && c < C) out[(int64_t{c} * taps + tap) * K + k] = tile[tx][i];
  }
}

/// w [K,R,S,C] as [C,R,S,K], in scratch slot `slot`.
inline const float* transposed_filters(const char* name, Cuda device, int slot, const float* w,
                                       const Conv2dShape& s) {
  auto* out = scratch<float>(device, s.K * s.R * s.S * s.C, slot);
  launch(name, conv2d_transpose_filters_kernel,
         dim3(blocks_for(s.C, 32), blocks_for(s.K, 32), static_cast<unsigned>(s.R * s.S)),
         dim3(32, 8), 0, device, static_cast<int>(s.K), static_cast<int>(s.R * s.S),
         static_cast<int>(s.C), w, out);
  return out;
}

}  // namespace fettle
