// Rung 4: tensor cores. The tiles and copies are those of rung 3; a warp now multiplies 16x8
// outputs at once with mma.sync, which takes its factors from the registers of all 32 lanes (cu.h
// says which lane holds what). Factors are rounded to tf32 (10 bits of mantissa) on their way from
// shared memory to registers; sums stay fp32.
//
// What fetches and rounds a factor costs more than what multiplies with it: a warp of 64x64 outputs
// has 32 words of 16x8 for 32 factors a lane, one of 32x32 eight for 16, one of 16x16 two for
// eight. Where both operands lie across k (backward weight), the rows that a lane multiplies are
// neighbours: which row of the tile is which of the word is free, as long as the sums go back to
// where they belong. Four factors are fetched at once then, and four sums stored.
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

/// sums += a * b over one tile, for this warp's part.
template <class T, class TileA, class TileB>
__device__ __forceinline__ void multiply_tiles(TileA& a, TileB& b, int row0, int column0, int g,
                                               int t, float (&sums)[T::words_m][T::words_n][4]) {
#pragma unroll
  for (int k = 0; k < T::depth; k += 8) {
    uint32_t fa[T::words_m][4], fb[T::words_n][2];
#pragma unroll
    for (int i = 0; i < T::words_m; ++i) {
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const int row = row0 + i * 16 + g + j % 2 * 8;
        fa[i][j] = to_tf32(*a.at(row, k + t + j / 2 * 4));
      }
    }
#pragma unroll
    for (int i = 0; i < T::words_n; ++i) {
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        fb[i][j] = to_tf32(*b.at(column0 + i * 8 + g, k + t + j * 4));
      }
    }
#pragma unroll
    for (int m = 0; m < T::words_m; ++m) {
#pragma unroll
      for (int n = 0; n < T::words_n; ++n) mma_tf32(sums[m][n], fa[m], fb[n]);
    }
  }
}

/// Which lines of a warp's tile a lane multiplies, of a tile that lies across k: line(lane, i) for
/// its i-th, `Each` neighbours and then as many of the next part.
template <int Count>
struct LaneLines {
  static constexpr int each = Count < 4 ? Count : 4;
  static __device__ __forceinline__ int line(int lane, int i) {
    return i / each * 8 * each + lane * each + i % each;
  }
  /// f(i, factor) for all of its lines at step k.
  template <class Tile, class F>
  static __device__ __forceinline__ void fetch(Tile& tile, int first, int lane, int k, const F& f) {
#pragma unroll
    for (int i = 0; i < Count; i += each) {
      const auto some = load_vec<each>(tile.at(first + line(lane, i), k));
#pragma unroll
      for (int e = 0; e < each; ++e) f(i + e, to_tf32(some[e]));
    }
  }
};

/// multiply_tiles of two tiles that lie across k.
template <class T, class TileA, class TileB>
__device__ __forceinline__ void multiply_across(TileA& a, TileB& b, int row0, int column0, int g,
                                                int t, float (&sums)[T::words_m][T::words_n][4]) {
#pragma unroll
  for (int k = 0; k < T::depth; k += 8) {
    uint32_t fa[T::words_m][4], fb[T::words_n][2];
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      LaneLines<T::words_m * 2>::fetch(a, row0, g, k + t + j * 4, [&](int i, uint32_t factor) {
        fa[i / 2][i % 2 + j * 2] = factor;
      });
      LaneLines<T::words_n>::fetch(b, column0, g, k + t + j * 4,
                                   [&](int i, uint32_t factor) { fb[i][j] = factor; });
    }
#pragma unroll
    for (int m = 0; m < T::words_m; ++m) {
#pragma unroll
      for (int n = 0; n < T::words_n; ++n) mma_tf32(sums[m][n], fa[m], fb[n]);
    }
  }
}

/// Stores the sums of multiply_across.
template <class T, class G>
__device__ __forceinline__ void store_across(const G& gemm, const GemmBlock& block, int row0,
                                             int column0, int g, int t,
                                             const float (&sums)[T::words_m][T::words_n][4]) {
  using Columns = LaneLines<T::words_n>;
  const GemmOutput& out = gemm.out;
  const int group = gemm.group(block);
  out.by_adding([&](auto adds) {
#pragma unroll
    for (int i = 0; i < T::words_m * 2; ++i) {
      const int place = gemm.place(block, block.m0 + row0 + LaneLines<T::words_m * 2>::line(g, i));
      if (place < 0) continue;
        // A word's columns 2 t and 2 t + 1 are `each` neighbours each, side by side.
#pragma unroll
      for (int j = 0; j < T::words_n * 2; j += 4) {
        const auto sum = [&](int of) {
          const int part = of / (2 * Columns::each), within = of % (2 * Columns::each);
          const int word = part * Columns::each + within % Columns::each;
          return sums[i / 2][word][i % 2 * 2 + within / Columns::each];
        };
        const int part = j / (2 * Columns::each), within = j % (2 * Columns::each);
        const int n = block.n0 + column0 + Columns::line(2 * t, part * Columns::each) + within;
        if (out.vectors) {
          if (n >= gemm.N) continue;
          Vec<float, 4> line;
#pragma unroll
          for (int e = 0; e < 4; ++e)
            line[e] = out.template finished<adds>(n + e, gemm.N, group, sum(j + e));
          out.template store_line<adds>(out.place(place, n, group, block.split), line);
        } else {
#pragma unroll
          for (int e = 0; e < 4; ++e) gemm.template store<adds>(block, place, n + e, sum(j + e));
        }
      }
    }
  });
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
  constexpr bool across = !A::along_k && !B::along_k;
  float sums[T::words_m][T::words_n][4] = {};
  gemm_main_loop<T::stages, T::depth>(
      tiles.a, tiles.b, load_a, load_b, block.k_begin, block.k_end,
      [&](auto& tile_a, auto& tile_b) {
        if constexpr (across) {
          multiply_across<T>(tile_a, tile_b, row0, column0, g, t, sums);
        } else {
          multiply_tiles<T>(tile_a, tile_b, row0, column0, g, t, sums);
        }
      });

  if constexpr (across) {
    store_across<T>(gemm, block, row0, column0, g, t, sums);
  } else {
    store_words<T::words_m, T::words_n>(gemm, block, row0, column0, thread % 32, sums);
  }
}

}  // namespace fettle
