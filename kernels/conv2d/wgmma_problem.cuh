// What rung 6 works on: its tiles, the ring in shared memory that they go through, and the result
// that they are pieces of.
#pragma once

#include <type_traits>

#include "kernels/conv2d/operands.cuh"

namespace fettle {

/// Elements are bf16, or float for tf32. `LineBytes` of channels are copied together, of few
/// channels fewer than 128: then a stage holds several such pieces, of one tap each.
template <class E, int Rows, int Columns, int Stages, int LineBytes, int Pieces>
struct WgmmaTiling {
  using Element = E;
  static constexpr int rows = Rows, columns = Columns, stages = Stages;
  static constexpr int line_bytes = LineBytes, pieces = Pieces;
  static constexpr int depth = line_bytes / static_cast<int>(sizeof(E));  ///< elements of a line
  static constexpr int a_bytes = columns * line_bytes * pieces;           ///< of a stage
  static constexpr int b_bytes = rows * line_bytes * pieces;
  static constexpr int words_of_piece = line_bytes / 32, words = pieces * words_of_piece;
  static constexpr Swizzle swizzle = line_bytes == 128  ? Swizzle::bytes128
                                     : line_bytes == 64 ? Swizzle::bytes64
                                                        : Swizzle::bytes32;
  static_assert(pieces == 1 || columns == 64);
  static constexpr int groups = 2, threads = (groups + 1) * 128;
  static constexpr bool takes_turns = columns == 64;
  /// Where the sums take most of the registers, the producer gives its own away.
  static constexpr bool trades_registers = rows == 256;
};

template <class T>
struct WgmmaShared {
  struct Stage {
    alignas(1024) uint8_t a[T::a_bytes], b[T::b_bytes];
  } stage[T::stages];
  uint8_t turned[T::groups][2][64 * 128];  ///< 64 rows of a consumer's columns, in turns
  Mbarrier full[T::stages], empty[T::stages];
  Mbarrier rows_turned[T::stages];                        ///< of a feed whose rows are turned round
  Mbarrier turned_full[T::groups], turn_over[T::groups];  ///< of each group of consumers
};

/// A place in the ring, and the parity of the phases there.
template <int Stages>
struct RingPlace {
  int stage = 0, parity = 0;
  __device__ __forceinline__ void advance(int steps = 1) {
    stage += steps;
    parity ^= stage / Stages % 2;
    stage %= Stages;
  }
};

/// One tile of the result and one part of the sum.
struct WgmmaTile {
  int row0, column0, phase, tap, split, k_begin, k_end;
};

/// The result as tiles. `rows` belong to each phase (backward input) and `columns` to each tap
/// (backward weight, whose taps are what groups are elsewhere), or there are no more; the summed
/// axis counts in steps of a piece, K at most.
struct WgmmaProblem {
  GemmOutput out;
  int rows, columns;
  Divider by_tiles_across, by_tiles_down, by_tiles_of_phase, by_tiles_of_tap;
  int K, splits = 1, k_per_split = 0;
  double* moments = nullptr;  ///< [tiles of rows,2,columns], of forward in one part

  __device__ int items() const {
    return static_cast<int>(by_tiles_across.divisor * by_tiles_down.divisor) * splits;
  }
  template <class Feed>
  __device__ __forceinline__ WgmmaTile tile(int item, const Feed& feed) const {
    const int line = by_tiles_across.quotient(item), across = by_tiles_across.remainder(item, line);
    const int split = by_tiles_down.quotient(line), down = by_tiles_down.remainder(line, split);
    const int phase = by_tiles_of_phase.quotient(down), tap = by_tiles_of_tap.quotient(across);
    const int k_begin = split * k_per_split, k_end = k_begin + k_per_split;
    const int steps = feed.steps(phase, K);
    return {by_tiles_of_phase.remainder(down, phase) * Feed::T::rows,
            by_tiles_of_tap.remainder(across, tap) * Feed::T::columns,
            phase,
            tap,
            split,
            k_begin < steps ? k_begin : steps,
            min_of(k_end, steps)};
  }
};

}  // namespace fettle
