// Rung 3: registers, and copies in the background. A block of 256 threads computes a TileM x TileN
// piece of the matrix product, each thread RowsEach x ColumnsEach outputs in registers: for every
// four steps of k it reads 4 * (RowsEach + ColumnsEach) floats of shared memory and multiplies
// 4 * RowsEach * ColumnsEach times, so that 8x4 outputs a thread need 0.375 reads a multiplication
// where rung 2 needs 2. cp.async fills the next tiles meanwhile, without passing registers.
//
// Shared memory: Stages tiles of (TileM + TileN) x 16 floats, 40 KiB for 128x64 in 3 stages.
// Traffic: 8 * K / TileM + 8 * K / TileN bytes an output, most of it served by the caches; the
// limit it aims for is the rate of fp32 multiplications.
#pragma once

#include "kernels/conv2d/gemm_tile.cuh"

namespace fettle {

inline constexpr int gemm_threads = 256;

template <int TileM, int TileN>
struct ImplicitGemmTiling {
  static constexpr int M = TileM, N = TileN, depth = 16, pad = 4, stages = 3;
  static constexpr int threads_n = 16, threads_m = gemm_threads / threads_n;
  static constexpr int rows_each = TileM / threads_m, columns_each = TileN / threads_n;
};

template <class A, class B, class T>
struct ImplicitGemmShared {
  using TileA = GemmTile<A, T::M, T::depth, T::pad>;
  using TileB = GemmTile<B, T::N, T::depth, T::pad>;
  TileA a[T::stages];
  TileB b[T::stages];
};

/// Row i of thread `t` of `threads`: dealt out one by one along k, in pairs or fours along the
/// rows, so that either way a vector of neighbours is read at once and no two threads meet in a
/// bank.
template <bool AlongK, int Each>
__device__ __forceinline__ int dealt_row(int t, int i, int threads) {
  constexpr int together = AlongK ? 1 : (Each < 4 ? Each : 4);
  return (i / together) * together * threads + t * together + i % together;
}

/// Reads `Each` rows over four steps of k into values[row][k].
template <int Each, class Operand, class Tile>
__device__ __forceinline__ void read_rows(Tile& tile, int t, int threads, int k,
                                          float (&values)[Each][4]) {
  if constexpr (Operand::along_k) {
#pragma unroll
    for (int i = 0; i < Each; ++i) {
      const auto four = load_vec<4>(tile.at(dealt_row<true, Each>(t, i, threads), k));
#pragma unroll
      for (int j = 0; j < 4; ++j) values[i][j] = four[j];
    }
  } else {
    constexpr int together = Each < 4 ? Each : 4;
#pragma unroll
    for (int j = 0; j < 4; ++j) {
#pragma unroll
      for (int i = 0; i < Each; i += together) {
        const auto some = load_vec<together>(tile.at(dealt_row<false, Each>(t, i, threads), k + j));
#pragma unroll
        for (int e = 0; e < together; ++e) values[i + e][j] = some[e];
      }
    }
  }
}

/// One block: TileM x TileN outputs of one group and one part of k.
template <class A, class B, class T, int V>
__global__ void __launch_bounds__(gemm_threads, 2) conv2d_implicit_gemm_kernel(Gemm<A, B> gemm) {
  wait_for_kernels_before();
  using Shared = ImplicitGemmShared<A, B, T>;
  Shared& tiles = *dynamic_shared<Shared>();
  const int thread = static_cast<int>(threadIdx.x);
  const GemmBlock block = gemm.block(T::M, T::N);
  const int tm = thread / T::threads_n, tn = thread % T::threads_n;

  const TileLoader<A, typename Shared::TileA, gemm_threads, V> load_a(gemm.a, block.m0, block.group,
                                                                      thread);
  const TileLoader<B, typename Shared::TileB, gemm_threads, V> load_b(gemm.b, block.n0, block.group,
                                                                      thread);
  float sums[T::rows_each][T::columns_each] = {};
  gemm_main_loop<T::stages, T::depth>(
      tiles.a, tiles.b, load_a, load_b, block.k_begin, block.k_end, [](auto&, auto&) {},
      [&](auto& tile_a, auto& tile_b) {
#pragma unroll
        for (int k = 0; k < T::depth; k += 4) {
          float a[T::rows_each][4], b[T::columns_each][4];
          read_rows<T::rows_each, A>(tile_a, tm, T::threads_m, k, a);
          read_rows<T::columns_each, B>(tile_b, tn, T::threads_n, k, b);
#pragma unroll
          for (int j = 0; j < 4; ++j) {
#pragma unroll
            for (int m = 0; m < T::rows_each; ++m) {
#pragma unroll
              for (int n = 0; n < T::columns_each; ++n) sums[m][n] += a[m][j] * b[n][j];
            }
          }
        }
      });

  gemm.out.by_adding([&](auto adds) {
#pragma unroll
    for (int i = 0; i < T::rows_each; ++i) {
      const int m =
          gemm.place(block, block.m0 + dealt_row<A::along_k, T::rows_each>(tm, i, T::threads_m));
#pragma unroll
      for (int j = 0; j < T::columns_each; ++j) {
        const int n = block.n0 + dealt_row<B::along_k, T::columns_each>(tn, j, T::threads_n);
        gemm.template store<adds>(block, m, n, sums[i][j]);
      }
    }
  });
}

}  // namespace fettle
