// What rungs 3 to 5 share: a ring of tiles in shared memory, filled by asynchronous copies while
// the tile before is multiplied.
//
// A tile holds `Rows` rows of an operand over `Depth` steps of k. It keeps the order that the
// operand has in global memory, along k or along the rows, so that V neighbours (one 16-byte copy
// for four floats or eight bf16) stay neighbours.
#pragma once

#include "kernels/conv2d/operands.cuh"

namespace fettle {

/// The blocks for tiles of M x N outputs.
template <class A, class B>
dim3 grid_of(const Gemm<A, B>& gemm, int M, int N) {
  return {blocks_for(gemm.M, M), blocks_for(gemm.N, N),
          static_cast<unsigned>(gemm.groups * gemm.splits)};
}

/// `Pad` floats after each line spread the lines over the banks.
template <class Operand, int Rows, int Depth, int Pad>
struct GemmTile {
  static constexpr int rows = Rows, depth = Depth;
  static constexpr int line = (Operand::along_k ? Depth : Rows) + Pad;
  static constexpr int lines = Operand::along_k ? Rows : Depth;
  alignas(16) float v[lines * line];

  __device__ __forceinline__ float* at(int row, int k) {
    return v + (Operand::along_k ? row * line + k : k * line + row);
  }
};

/// One thread's part in filling tiles of an operand: which elements it copies, and what it knows of
/// them before the loop begins. What follows from k it works out for as few lines as may be: along
/// k it has one place in all its lines, across k all its places in one line, if threads suffice.
template <class Operand, class Tile, int Threads, int V>
class TileLoader {
  using Element = typename Operand::Element;
  static constexpr int across = (Operand::along_k ? Tile::depth : Tile::rows) / V;  ///< copies
  // Eight copies of 16 bytes go to shared memory at once: of one line they meet no bank twice.
  static constexpr int for_a_line = Threads / Tile::lines > 8 ? Threads / Tile::lines : 8;
  static constexpr int side_by_side =
      Operand::along_k || for_a_line > across ? across : for_a_line;  ///< threads of a line
  static constexpr int in_line = across / side_by_side, lines_a_pass = Threads / side_by_side;
  // Of a small tile, some threads have nothing to copy.
  static constexpr int passes = (Tile::lines + lines_a_pass - 1) / lines_a_pass;
  static_assert(across % side_by_side == 0 && Threads % side_by_side == 0 &&
                (passes == 1 || Tile::lines % lines_a_pass == 0));

 public:
  __device__ __forceinline__ TileLoader(const Operand& operand, int first_row, int group,
                                        int thread)
      : operand_(operand),
        group_(group),
        column_(thread % side_by_side * V),
        line_(thread / side_by_side) {
#pragma unroll
    for (int i = 0; i < rows; ++i) {
      rows_[i] = operand.row(
          first_row + (Operand::along_k ? line_ + i * lines_a_pass : column_ + i * step), group);
    }
  }

  /// Starts the copies of the tile that begins at k0; elements from k_end on are zeros.
  __device__ __forceinline__ void start(Tile& tile, int k0, int k_end) const {
    if (line_ >= Tile::lines) return;
    if constexpr (Operand::along_k) {
      const auto depth = operand_.depth(k0 + column_, group_);
#pragma unroll
      for (int i = 0; i < passes; ++i) {
        const Element* from = k0 + column_ < k_end ? operand_.element(rows_[i], depth) : nullptr;
        copy(tile.at(line_ + i * lines_a_pass, column_), from);
      }
    } else {
#pragma unroll
      for (int pass = 0; pass < passes; ++pass) {
        const int k = line_ + pass * lines_a_pass;
        const auto depth = operand_.depth(k0 + k, group_);
#pragma unroll
        for (int i = 0; i < in_line; ++i) {
          const Element* from = k0 + k < k_end ? operand_.element(rows_[i], depth) : nullptr;
          copy(tile.at(column_ + i * step, k), from);
        }
      }
    }
  }

  /// f(address) for each of this thread's copies, V elements long.
  template <class F>
  __device__ __forceinline__ void each_copy(Tile& tile, const F& f) const {
    if (line_ >= Tile::lines) return;
#pragma unroll
    for (int pass = 0; pass < passes; ++pass) {
      const int line = line_ + pass * lines_a_pass;
#pragma unroll
      for (int i = 0; i < in_line; ++i) {
        const int along = column_ + i * step;
        f(Operand::along_k ? tile.at(line, along) : tile.at(along, line));
      }
    }
  }

 private:
  __device__ __forceinline__ void copy(Element* to, const Element* from) const {
    cp_async<static_cast<int>(sizeof(Element)) * V>(to, from ? from : operand_.base(),
                                                    from != nullptr);
  }

  static constexpr int step = side_by_side * V, rows = Operand::along_k ? passes : in_line;
  const Operand& operand_;
  int group_, column_, line_;
  typename Operand::Row rows_[rows];
};

/// Walks over the parts of k: while `multiply(a, b)` works on one tile of each operand, the copies
/// of the next Stages - 1 are under way. `landed(a, b)` is called before that, when the thread's
/// own copies of both are there.
template <int Stages, int Depth, class TileA, class TileB, class LoaderA, class LoaderB,
          class Landed, class Multiply>
__device__ __forceinline__ void gemm_main_loop(TileA* a, TileB* b, const LoaderA& load_a,
                                               const LoaderB& load_b, int k_begin, int k_end,
                                               const Landed& landed, const Multiply& multiply) {
  const int tiles = (k_end - k_begin + Depth - 1) / Depth;
#pragma unroll
  for (int stage = 0; stage < Stages - 1; ++stage) {
    if (stage < tiles) {
      load_a.start(a[stage], k_begin + stage * Depth, k_end);
      load_b.start(b[stage], k_begin + stage * Depth, k_end);
    }
    cp_async_commit();  // an empty group keeps the count right
  }
  const auto wait_for = [&](int tile) {
    cp_async_wait<Stages - 2>();
    if (tile < tiles) landed(a[tile % Stages], b[tile % Stages]);
  };
  wait_for(0);
  for (int tile = 0; tile < tiles; ++tile) {
    __syncthreads();  // this tile is there for all, and the one before it is no longer read
    const int next = tile + Stages - 1;
    if (next < tiles) {
      load_a.start(a[next % Stages], k_begin + next * Depth, k_end);
      load_b.start(b[next % Stages], k_begin + next * Depth, k_end);
    }
    cp_async_commit();
    multiply(a[tile % Stages], b[tile % Stages]);
    wait_for(tile + 1);
  }
  cp_async_wait<0>();
}

/// Stores a warp's words of 16x8 sums, from column0 of its block on; of each 16 rows this lane has
/// first_row and the one `Apart` after it.
template <int WordsM, int WordsN, int Apart, class G>
__device__ __forceinline__ void store_words(const G& gemm, const GemmBlock& block, int first_row,
                                            int column0, int lane,
                                            const float (&sums)[WordsM][WordsN][4]) {
  gemm.out.by_adding([&](auto adds) {
#pragma unroll
    for (int i = 0; i < WordsM; ++i) {
      const int m = block.m0 + first_row + i * 16;
      const int rows[2] = {gemm.place(block, m), gemm.place(block, m + Apart)};
      store_mma_sums<adds, WordsN>(gemm.out, rows, block.n0 + column0, gemm.N, gemm.group(block),
                                   block.split, lane, [&](int j, int e) { return sums[i][j][e]; });
    }
  });
}

}  // namespace fettle
