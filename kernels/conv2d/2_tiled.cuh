// Rung 2: shared memory. A block computes 16x16 outputs of the matrix product; for every 16 steps
// of k its 256 threads fetch one element of A and one of B each, and then every thread reads 16 of
// each from shared memory. What rung 1 fetched 16 times is fetched once.
//
// Shared memory: 2 tiles of 16x16 floats, 2 KiB; a column more than needed, so that the 16 rows of
// a column lie in different banks. A multiplication still costs two reads of shared memory, which
// is the limit: two 4-byte reads for 2 operations.
#pragma once

#include "kernels/conv2d/operands.cuh"

namespace fettle {

inline constexpr int tiled_edge = 16;

struct TiledShared {
  float a[tiled_edge][tiled_edge + 1];  ///< [row][k]
  float b[tiled_edge][tiled_edge + 1];
};

/// Element (row, k) of an operand, a zero where it has none.
template <class Operand>
__device__ __forceinline__ float element_or_zero(const Operand& operand, int row, int k,
                                                 int group) {
  const float* p = operand.element(operand.row(row, group), operand.depth(k, group));
  return p ? *p : 0.0f;
}

/// One block: 16x16 outputs of one group and one part of k. One thread: one output.
template <class A, class B>
__global__ void __launch_bounds__(tiled_edge* tiled_edge) conv2d_tiled_kernel(Gemm<A, B> gemm) {
  wait_for_kernels_before();
  TiledShared& tile = shared<TiledShared>();
  const int tx = static_cast<int>(threadIdx.x), ty = static_cast<int>(threadIdx.y);
  const GemmBlock block = gemm.block(tiled_edge, tiled_edge);
  const auto [m0, n0, group, split, k_begin, k_end] = block;

  float sum = 0;
  for (int k0 = k_begin; k0 < k_end; k0 += tiled_edge) {
    // Neighbouring threads fetch neighbours in memory, whichever axis that is.
    const int a_row = A::along_k ? ty : tx, a_k = A::along_k ? tx : ty;
    const int b_row = B::along_k ? ty : tx, b_k = B::along_k ? tx : ty;
    tile.a[a_row][a_k] =
        k0 + a_k < k_end ? element_or_zero(gemm.a, m0 + a_row, k0 + a_k, group) : 0.0f;
    tile.b[b_row][b_k] =
        k0 + b_k < k_end ? element_or_zero(gemm.b, n0 + b_row, k0 + b_k, group) : 0.0f;
    __syncthreads();
    for (int k = 0; k < tiled_edge; ++k) sum += tile.a[ty][k] * tile.b[tx][k];
    __syncthreads();
  }
  gemm.out.by_adding([&](auto adds) {
    gemm.template store<adds>(block, gemm.place(block, m0 + ty), n0 + tx, sum);
  });
}

}  // namespace fettle
