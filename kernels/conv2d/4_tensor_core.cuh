// Rung 4: tensor cores. The tiles and copies are those of rung 3; a warp now multiplies 16x8
// outputs at once with mma.sync, which takes its factors from the registers of all 32 lanes (cu.h
// says which lane holds what). Factors are rounded to tf32 (10 bits of mantissa) once, by the
// thread that copied them to shared memory; sums stay fp32.
//
// What fetches a factor costs as much as what multiplies with it: a warp of 64x32 outputs has 16
// words of 16x8 for 24 factors a lane, one of 32x32 eight for 16, one of 16x16 two for eight.
//
// Shared memory as in rung 3, with pads that keep the lanes of each read in different banks. The
// limit it aims for is the rate of the tensor cores.
#pragma once

#include "kernels/conv2d/gemm_tile.cuh"

namespace fettle {

template <int TileM, int TileN, int WarpsM, int WarpsN>
struct TensorCoreTiling {
  static constexpr int M = TileM, N = TileN, depth = 16, stages = 3;
  // A lane (g, t) reads line g at t, or line t at g.
  static constexpr int pad_along_k = 4, pad_along_rows = 8;
  static constexpr int warps_n = WarpsN, warps_m = WarpsM;
  static constexpr int threads = warps_m * warps_n * 32;
  static constexpr int warp_M = TileM / warps_m, warp_N = TileN / warps_n;
  static constexpr int words_m = warp_M / 16, words_n = warp_N / 8;
  static_assert(words_m >= 1 && words_n >= 1);

  template <class Operand>
  static constexpr int pad = Operand::along_k ? pad_along_k : pad_along_rows;
};

template <class A, class B, class T>
struct TensorCoreShared {
  using TileA = GemmTile<A, T::M, T::depth, T::template pad<A>>;
  using TileB = GemmTile<B, T::N, T::depth, T::template pad<B>>;
  TileA a[T::stages];
  TileB b[T::stages];
};

/// Lane 4 * g + t has rows first(g) and first(g) + apart of each 16. Where A lies across k these
/// are neighbours, fetched together: which row of the tile is which of the word is free, if the
/// sums go back to where they belong.
template <bool AlongK>
struct LaneRows {
  static constexpr int apart = AlongK ? 8 : 1;
  static __device__ __forceinline__ int first(int g) { return AlongK ? g : 2 * g; }
};

/// sums += a * b over one tile, for this warp's part. `AlongK`: of A.
template <class T, bool AlongK, class TileA, class TileB>
__device__ __forceinline__ void multiply_tiles(TileA& a, TileB& b, int row0, int column0, int g,
                                               int t, float (&sums)[T::words_m][T::words_n][4]) {
  using Rows = LaneRows<AlongK>;
#pragma unroll
  for (int k = 0; k < T::depth; k += 8) {
    uint32_t fa[T::words_m][4], fb[T::words_n][2];
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      const int at = k + t + j * 4;
#pragma unroll
      for (int i = 0; i < T::words_m; ++i) {
        const int row = row0 + i * 16 + Rows::first(g);
        Vec<float, 2> two;
        if constexpr (AlongK) {
          two = {{*a.at(row, at), *a.at(row + Rows::apart, at)}};
        } else {
          two = load_vec<2>(a.at(row, at));
        }
        fa[i][2 * j] = bits_of(two[0]);
        fa[i][2 * j + 1] = bits_of(two[1]);
      }
#pragma unroll
      for (int i = 0; i < T::words_n; ++i) fb[i][j] = bits_of(*b.at(column0 + i * 8 + g, at));
    }
#pragma unroll
    for (int m = 0; m < T::words_m; ++m) {
#pragma unroll
      for (int n = 0; n < T::words_n; ++n) mma_tf32(sums[m][n], fa[m], fb[n]);
    }
  }
}

/// One block: TileM x TileN outputs of one group and one part of k, warps as WarpsM x WarpsN.
template <class A, class B, class T, int V>
__global__ void __launch_bounds__(T::threads) conv2d_tensor_core_kernel(Gemm<A, B> gemm) {
  wait_for_kernels_before();
  using Shared = TensorCoreShared<A, B, T>;
  Shared& tiles = *dynamic_shared<Shared>();
  const int thread = static_cast<int>(threadIdx.x);
  const GemmBlock block = gemm.block(T::M, T::N);
  const int warp = thread / 32, g = thread % 32 / 4, t = thread % 4;
  const int row0 = warp / T::warps_n * T::warp_M, column0 = warp % T::warps_n * T::warp_N;

  const TileLoader<A, typename Shared::TileA, T::threads, V> load_a(gemm.a, block.m0, block.group,
                                                                    thread);
  const TileLoader<B, typename Shared::TileB, T::threads, V> load_b(gemm.b, block.n0, block.group,
                                                                    thread);
  float sums[T::words_m][T::words_n][4] = {};
  gemm_main_loop<T::stages, T::depth>(
      tiles.a, tiles.b, load_a, load_b, block.k_begin, block.k_end,
      [&](auto& tile_a, auto& tile_b) {
        const auto round = [](float* copy) { round_to_tf32<V>(copy); };
        load_a.each_copy(tile_a, round);
        load_b.each_copy(tile_b, round);
      },
      [&](auto& tile_a, auto& tile_b) {
        multiply_tiles<T, A::along_k>(tile_a, tile_b, row0, column0, g, t, sums);
      });

  using Rows = LaneRows<A::along_k>;
  store_words<T::words_m, T::words_n, Rows::apart>(gemm, block, row0 + Rows::first(g), column0,
                                                   thread % 32, sums);
}

}  // namespace fettle
