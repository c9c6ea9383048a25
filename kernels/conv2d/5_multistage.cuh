// Rung 5: bf16 in memory, and shared memory without pads. A tile moves half the bytes of rung 4,
// lies in shared memory as the tensor cores want it, and is read by ldmatrix: one request of a warp
// for a 16x16 piece, where rung 4 asked for each factor and rounded it.
//
// A line of a tile is as long as its elements. Its chunks of 16 bytes change places by an exclusive
// or with the line's number, so that the eight lines that ldmatrix reads at once, and the chunks
// that a warp copies at once, lie in all 32 banks: both take the fewest passes.
//
// Shared memory: `stages` tiles of (TileM + TileN) x 32 bf16, 64 KiB for 128x128 in 4 stages.
// Traffic: 2 * K / TileM + 2 * K / TileN bytes an output. The limit it aims for is the rate of
// mma.sync.
#pragma once

#include "kernels/conv2d/gemm_tile.cuh"

namespace fettle {

/// WarpsM x WarpsN warps, each with TileM/WarpsM x TileN/WarpsN outputs.
template <int TileM, int TileN, int WarpsM, int WarpsN>
struct MultistageTiling {
  static constexpr int M = TileM, N = TileN, depth = 32, stages = 4;
  static constexpr int warps_n = WarpsN, threads = WarpsM * WarpsN * 32;
  static constexpr int warp_M = TileM / WarpsM, warp_N = TileN / WarpsN;
  static constexpr int words_m = warp_M / 16, words_n = warp_N / 8;
  static_assert(warp_M % 16 == 0 && warp_N % 16 == 0);
};

template <class Operand, int Rows, int Depth>
struct SwizzledTile {
  static constexpr int rows = Rows, depth = Depth;
  static constexpr int line = Operand::along_k ? Depth : Rows;
  static constexpr int lines = Operand::along_k ? Rows : Depth;
  static constexpr int chunks = line / 8;
  static constexpr int lines_across_banks = chunks < 8 ? 8 / chunks : 1;
  static_assert(chunks % 8 == 0 || 8 % chunks == 0);
  alignas(128) bf16 v[lines * line];

  __device__ __forceinline__ bf16* at(int row, int k) {
    const int l = Operand::along_k ? row : k, column = Operand::along_k ? k : row;
    const int turn = l / lines_across_banks % (chunks < 8 ? chunks : 8);
    return v + l * line + ((column / 8) ^ turn) * 8 + column % 8;
  }
};

template <class A, class B, class T>
struct MultistageShared {
  using TileA = SwizzledTile<A, T::M, T::depth>;
  using TileB = SwizzledTile<B, T::N, T::depth>;
  TileA a[T::stages];
  TileB b[T::stages];
};

/// The four 8x8 pieces of 16 rows and 16 steps of k; `RowsFirst` numbers them down the rows, as A
/// of mma_bf16 has them, else along k, as two neighbouring B have them.
template <class Operand, bool RowsFirst, class Tile>
__device__ __forceinline__ void load_pieces(uint32_t (&r)[4], Tile& tile, int row, int k,
                                            int lane) {
  const int low = lane / 8 % 2 * 8, high = lane / 16 * 8, line = lane % 8;
  row += RowsFirst ? low : high;
  k += RowsFirst ? high : low;
  if constexpr (Operand::along_k) {
    ldmatrix_x4(r, tile.at(row + line, k));
  } else {
    ldmatrix_x4_transposed(r, tile.at(row, k + line));
  }
}

/// One block: TileM x TileN outputs of one group and one part of k.
template <class A, class B, class T>
__global__ void __launch_bounds__(T::threads) conv2d_multistage_kernel(Gemm<A, B> gemm) {
  wait_for_kernels_before();
  using Shared = MultistageShared<A, B, T>;
  Shared& tiles = *dynamic_shared<Shared>();
  const int thread = static_cast<int>(threadIdx.x), warp = thread / 32, lane = thread % 32;
  const GemmBlock block = gemm.block(T::M, T::N);
  const int row0 = warp / T::warps_n * T::warp_M, column0 = warp % T::warps_n * T::warp_N;

  const TileLoader<A, typename Shared::TileA, T::threads, 8> load_a(gemm.a, block.m0, block.group,
                                                                    thread);
  const TileLoader<B, typename Shared::TileB, T::threads, 8> load_b(gemm.b, block.n0, block.group,
                                                                    thread);
  float sums[T::words_m][T::words_n][4] = {};
  gemm_main_loop<T::stages, T::depth>(
      tiles.a, tiles.b, load_a, load_b, block.k_begin, block.k_end, [](auto&, auto&) {},
      [&](auto& tile_a, auto& tile_b) {
#pragma unroll
        for (int k = 0; k < T::depth; k += 16) {
          uint32_t fa[T::words_m][4], fb[T::words_n / 2][4];
#pragma unroll
          for (int i = 0; i < T::words_m; ++i) {
            load_pieces<A, true>(fa[i], tile_a, row0 + i * 16, k, lane);
          }
#pragma unroll
          for (int i = 0; i < T::words_n / 2; ++i) {
            load_pieces<B, false>(fb[i], tile_b, column0 + i * 16, k, lane);
          }
#pragma unroll
          for (int m = 0; m < T::words_m; ++m) {
#pragma unroll
            for (int n = 0; n < T::words_n; ++n) {
              const uint32_t factors[2] = {fb[n / 2][n % 2 * 2], fb[n / 2][n % 2 * 2 + 1]};
              mma_bf16(sums[m][n], fa[m], factors);
            }
          }
        }
      });

  store_words<T::words_m, T::words_n, 8>(gemm, block, row0 + lane / 4, column0, lane, sums);
}

}  // namespace fettle
