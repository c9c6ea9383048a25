// Kernels that do one word of kernels/cu/hopper.h or wgmma.h each; words.h has those of older GPUs.
#pragma once

#include <cstdint>

#include "kernels/cu/tensor_map.h"
#include "kernels/device.h"

namespace fettle {

/// out = the `bytes` of shared memory after the copy of one box at (c0, c1[, c2]).
void word_bulk_copy(Cuda, const TensorMap& map, int bytes, int rank, int c0, int c1, int c2,
                    uint8_t* out);
/// The same of windows.
struct WindowsCopy {
  int c, w, h, n, offset_w, offset_h;
};
void word_bulk_copy_windows(Cuda, const TensorMap& map, int bytes, WindowsCopy at, uint8_t* out);

/// d[64,N] = (add ? d : 0) + a b^T over 128 bytes of k, bf16: a is [64,64] or, not along k, its
/// transpose; b is [N,64] or its transpose.
void word_wgmma_bf16(Cuda, int N, bool a_along_k, bool b_along_k, bool add, const uint16_t* a,
                     const uint16_t* b, float* d);
/// The same of a[64,32] and b[N,32] in tf32.
/// A from shared memory, or from registers.
void word_wgmma_tf32(Cuda, int N, bool a_in_registers, bool add, const float* a, const float* b,
                     float* d);

/// matrices[4][8][8] as stmatrix_x4_transposed leaves them, from four registers of each lane.
void word_stmatrix_transposed(Cuda, const uint32_t* registers, uint16_t* matrices);

/// y[i] = the sum over 8 steps of x[step * 32 + lane] through a ring of two places that one warp
/// fills and another empties, with mbarriers.
void word_ring(Cuda, const float* x, float* y);

}  // namespace fettle
