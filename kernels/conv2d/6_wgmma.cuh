// Rung 6: a whole warpgroup multiplies, and nobody computes an address. One thread of the
// producer's warpgroup starts bulk copies of boxes: 128 bytes of channels (64 bf16 or 32 floats) of
// up to 256 windows, and of 64 or 128 filters; the copy engine finds the windows, swizzles the
// boxes and fills in zeros outside the picture. Two warpgroups of consumers give the boxes to wgmma
// as they lie in shared memory and hold the sums. Mbarriers pass the stages of the ring to and fro.
//
// The result is seen as rows (pixels) of columns (channels) that lie together in memory. 64 columns
// are the M of a wgmma and the tile's rows its N: each wgmma reads 64 filters and all the windows
// of the stage, so that many pixels cost few bytes of shared memory, whose 128 bytes a clock are
// what wgmma meets first. A stage of rows x 64 columns moves (3 rows + 128) lines of 128 bytes
// through shared memory and takes 2 rows clocks to multiply, one of rows x 128 columns (3 rows +
// 256) and 4 rows clocks.
//
// A block works through tiles, one after another. With 128 columns, each consumer has 64 of them;
// with 64 columns the consumers take turns at whole tiles, and one multiplies while the other
// stores. Meanwhile the producer fills the ring for the next.
//
//                     rows (B)                       columns (A)            summed
//   forward           windows of x, along channels   filters, along c       taps, channels of x
//   backward input    windows of dy, along channels  filters, across c      taps, channels of dy
//   backward weight   channels of dy, across pixels  channels of x, across  pixels
//
// Backward input is, for each phase of the input (phases.h), a convolution of dy with stride one.
// The tiles of all phases stand in one queue, those with the most taps first; one tensor map serves
// them, as their windows begin at most a few outputs apart. Its filters lie across the summed axis,
// and so do both operands of backward weight: wgmma takes them transposed, in panels of 64.
//
// In tf32 it takes no operand transposed. The filters of backward input are transposed by a pass of
// their own (filters_transposed.cuh); of backward weight that would be both tensors of pixels, in
// every call, so that rung 4 keeps it. The other tensors are read as they lie: the copy engine
// rounds floats to tf32, to nearest, where wgmma by itself would cut their last 13 bits off.
//
// Shared memory: `stages` of (rows + columns) x 128 bytes, and 32 KiB in which sums are turned
// round: a thread holds neighbouring rows, memory wants neighbouring columns. 64 rows at a time of
// bf16, or 32 of floats, go there and on to global memory in whole lines. The limit it aims for is
// the rate of wgmma.
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

/// Where the windows of a convolution lie.
struct WindowPlaces {
  Divider by_Q, by_P, by_S;
  int stride_h, stride_w, first_h, first_w, dilation_h, dilation_w;
  bool are_pixels;  ///< of a convolution by 1x1 without stride or padding

  /// Starts the copy of the channels from c on, at an offset in the windows from i on.
  __device__ __forceinline__ void copy(void* to, const TensorMap& map, Mbarrier& full, int i,
                                       int offset_h, int offset_w, int c) const {
    if (are_pixels) return bulk_copy(to, map, full, c, i);
    const PixelIndex at = pixel_index(i, by_Q, by_P);
    bulk_copy_windows(to, map, full, c, at.column * stride_w + first_w, at.row * stride_h + first_h,
                      at.n, offset_w, offset_h);
  }
  /// The same under `tap`.
  __device__ __forceinline__ void copy(void* to, const TensorMap& map, Mbarrier& full, int i,
                                       int tap, int c) const {
    const int r = by_S.quotient(tap), s = by_S.remainder(tap, r);
    copy(to, map, full, i, r * dilation_h, s * dilation_w, c);
  }
};

/// Where word `word` of a stage's operand begins, whose lines lie along k; `lines` to a piece.
template <class T>
__device__ __forceinline__ uint64_t along_k(const uint8_t* operand, int lines, int word) {
  const int piece = word / T::words_of_piece;
  return wgmma_descriptor(operand + piece * lines * T::line_bytes + word % T::words_of_piece * 32,
                          0, 8 * T::line_bytes, T::swizzle);
}
/// The same of lines of 64 elements across k, in panels of `panel_bytes`.
__device__ __forceinline__ uint64_t across_k(const uint8_t* operand, int panel_bytes, int word) {
  return wgmma_descriptor(operand + word * 16 * 128, panel_bytes, 1024, Swizzle::bytes128);
}

/// Which tap and which chunk of its channels a step is; past the last step a chunk past the last
/// channel, which is copied as zeros.
struct ChunkOfTap {
  int tap, chunk;
};
__device__ __forceinline__ ChunkOfTap chunk_of_step(const Divider& by_chunks, int step,
                                                    const WgmmaTile& tile) {
  if (step >= tile.k_end) return {0, static_cast<int>(by_chunks.divisor)};
  const int tap = by_chunks.quotient(step);
  return {tap, by_chunks.remainder(step, tap)};
}

/// What a feed knows of its rows and sums where there is one phase.
struct OnePhase {
  __device__ int steps(int, int K) const { return K; }
  __device__ int place(int row, int, int rows) const { return row < rows ? row : -1; }
};

/// Feeds forward.
template <class Tiling>
struct FiltersTimesWindows : OnePhase {
  using T = Tiling;
  using Stage = typename WgmmaShared<T>::Stage;
  static constexpr bool a_along_k = true, b_along_k = true;
  static constexpr int pieces = T::pieces;  ///< steps of a stage
  WindowPlaces windows;
  Divider by_chunks;  ///< steps of a tap

  __device__ __forceinline__ void fill(Stage& to, int piece, const TensorMap& a, const TensorMap& b,
                                       Mbarrier& full, const WgmmaTile& tile, int step) const {
    const auto [tap, chunk] = chunk_of_step(by_chunks, step, tile);
    const int c = chunk * T::depth;
    windows.copy(to.b + piece * T::b_bytes / pieces, b, full, tile.row0, tap, c);
    bulk_copy(to.a + piece * T::a_bytes / pieces, a, full, c, tap, tile.column0);
  }
  /// Operands of a word, A for the 64 columns of the tile from `columns` * 64 on.
  static __device__ __forceinline__ uint64_t a(const Stage& stage, int columns, int word) {
    return along_k<T>(stage.a + columns * 64 * T::line_bytes, T::columns, word);
  }
  static __device__ __forceinline__ uint64_t b(const Stage& stage, int word) {
    return along_k<T>(stage.b, T::rows, word);
  }
};

/// Feeds backward input: the windows are those of dy that the pixels of a phase see.
template <class Tiling, bool Strided>
struct FiltersTimesPhases {
  using T = Tiling;
  using Stage = typename WgmmaShared<T>::Stage;
  static constexpr bool a_along_k = sizeof(typename T::Element) == 4, b_along_k = true;
  static constexpr int pieces = T::pieces;
  WindowPlaces windows;
  InputPhases phases;
  Divider by_chunks;
  int S;

  __device__ int steps(int phase, int) const {
    return phases.taps(phase) * static_cast<int>(by_chunks.divisor);
  }
  __device__ int place(int row, int phase, int rows) const {
    if constexpr (!Strided) return row < rows ? row : -1;  // divisions would take long
    const PixelIndex at = pixel_index(row, windows.by_Q, windows.by_P);
    return row < rows ? phases.place(at.n, at.row, at.column, phase) : -1;
  }
  __device__ __forceinline__ void fill(Stage& to, int piece, const TensorMap& a, const TensorMap& b,
                                       Mbarrier& full, const WgmmaTile& tile, int step) const {
    const AxisPhase &rows = phases.rows(tile.phase), &columns = phases.columns(tile.phase);
    const auto [tap, chunk] = chunk_of_step(by_chunks, step, tile);
    const int k = chunk * T::depth;
    const int i = columns.by_taps.quotient(tap), j = columns.by_taps.remainder(tap, i);
    const int r = rows.tap + i * phases.h.tap_step, s = columns.tap + j * phases.w.tap_step;
    windows.copy(to.b + piece * T::b_bytes / pieces, b, full, tile.row0,
                 rows.offset - i * phases.h.dilation - windows.first_h,
                 columns.offset - j * phases.w.dilation - windows.first_w, k);
    if constexpr (a_along_k) {
      bulk_copy(to.a, a, full, k, r * S + s, tile.column0);
    } else {
#pragma unroll
      for (int panel = 0; panel < T::columns / 64; ++panel) {
        bulk_copy(to.a + piece * T::depth * 128 + panel * panel_bytes, a, full,
                  tile.column0 + panel * 64, r * S + s, k);
      }
    }
  }
  static constexpr int panel_bytes = 64 * 128;
  static __device__ __forceinline__ uint64_t a(const Stage& stage, int columns, int word) {
    if constexpr (a_along_k)
      return along_k<T>(stage.a + columns * 64 * T::line_bytes, T::columns, word);
    return across_k(stage.a + columns * panel_bytes, panel_bytes, word);
  }
  static __device__ __forceinline__ uint64_t b(const Stage& stage, int word) {
    return along_k<T>(stage.b, T::rows, word);
  }
};

/// Feeds backward weight. A step is 64 pixels, a whole stage. Where there are just as many channels
/// as a narrow line holds, the taps lie side by side in the columns, a piece each.
template <class Tiling>
struct WindowsTimesOutputs : OnePhase {
  using T = Tiling;
  using Stage = typename WgmmaShared<T>::Stage;
  static constexpr bool a_along_k = false, b_along_k = false;
  static constexpr int pieces = 1, pixels = 64;
  static constexpr int span_bytes = pixels * T::line_bytes, panel_bytes = pixels * 128;
  WindowPlaces windows;
  int taps;

  __device__ __forceinline__ void fill(Stage& to, int, const TensorMap& a, const TensorMap& b,
                                       Mbarrier& full, const WgmmaTile& tile, int step) const {
    const int pixel = step * pixels;
#pragma unroll
    for (int i = 0; i < T::columns / T::depth; ++i) {
      const int first = tile.column0 + i * T::depth;
      // Past the last tap any will do: what it makes is not stored.
      const int tap = T::pieces == 1 ? tile.tap : min_of(first / T::depth, taps - 1);
      windows.copy(to.a + i * span_bytes, a, full, pixel, tap, T::pieces == 1 ? first : 0);
    }
#pragma unroll
    for (int i = 0; i < T::rows / 64; ++i) {
      bulk_copy(to.b + i * panel_bytes, b, full, tile.row0 + i * 64, pixel);
    }
  }
  static __device__ __forceinline__ uint64_t a(const Stage& stage, int columns, int word) {
    return wgmma_descriptor(stage.a + columns * panel_bytes + word * 16 * T::line_bytes, span_bytes,
                            8 * T::line_bytes, T::swizzle);
  }
  static __device__ __forceinline__ uint64_t b(const Stage& stage, int word) {
    return across_k(stage.b, panel_bytes, word);
  }
};

/// One thread: keeps the ring full.
template <class Feed, class T = typename Feed::T>
__device__ __forceinline__ void wgmma_produce(WgmmaShared<T>& shared, const TensorMap& a,
                                              const TensorMap& b, const Feed& feed,
                                              const WgmmaProblem& problem) {
  RingPlace<T::stages> at;
  for (int item = static_cast<int>(blockIdx.x); item < problem.items();
       item += static_cast<int>(gridDim.x)) {
    const WgmmaTile tile = problem.tile(item, feed);
    for (int step = tile.k_begin; step < tile.k_end; step += Feed::pieces, at.advance()) {
      Mbarrier& full = shared.full[at.stage];
      mbarrier_wait(shared.empty[at.stage], at.parity ^ 1);
      mbarrier_arrive_expect(full, T::a_bytes + T::b_bytes);
#pragma unroll
      for (int piece = 0; piece < Feed::pieces; ++piece) {
        feed.fill(shared.stage[at.stage], piece, a, b, full, tile, step + piece);
      }
    }
  }
}

/// Stores a warpgroup's sums of 64 columns from column0 on.
template <class Feed, class T = typename Feed::T>
struct WgmmaStore {
  WgmmaShared<T>& shared;
  const Feed& feed;
  const WgmmaProblem& problem;
  int group, thread;  ///< of the block, and of the warpgroup
  int turn = 0;       ///< how often the memory to turn sums round in was used

  __device__ __forceinline__ void operator()(const WgmmaTile& tile, int column0,
                                             const float (&sums)[T::rows / 2]) {
    problem.out.by_adding([&](auto adds) { store_sums<adds>(tile, column0, sums); });
  }

  template <bool Adds>
  __device__ __forceinline__ void store_sums(const WgmmaTile& tile, int column0,
                                             const float (&sums)[T::rows / 2]) {
    const int own = column0 + thread / 32 * 16 + thread % 32 / 4;  // and the eighth after it
    const GemmOutput& out = problem.out;
    float bias[2] = {};
    for (int half = 0; half < 2; ++half) {
      if (out.bias && own + half * 8 < problem.columns) bias[half] = out.bias[own + half * 8];
    }
    const auto finished = [&](int i) { return out.finished<Adds>(sums[i] + bias[i / 2 % 2]); };
    if constexpr (!Adds && std::is_same_v<Feed, FiltersTimesWindows<T>>) {
      if (problem.moments) store_moments(tile, own, sums, bias);
    }
    if (out.rounded) {
#pragma unroll
      for (int part = 0; part < T::rows / 64; ++part) {
        store_lines<Adds>(tile, column0, part, bf16{}, [&](uint8_t* turned) {
          turn_rounded(turned, [&](int i) { return finished(part * 32 + i); });
        });
      }
    } else {
#pragma unroll
      for (int part = 0; part < T::rows / 32; ++part) {
        store_lines<Adds>(tile, column0, part, 0.0f, [&](uint8_t* turned) {
          turn_floats(turned, [&](int i) { return finished(part * 16 + i); });
        });
      }
    }
  }

  /// Of the tile's rows, as they are stored, the sum of each column and of its squares. A thread
  /// sums about its first value, so that a large mean does not swallow a small deviation; with the
  /// shift put back, fp64 holds the sums as exactly.
  __device__ __forceinline__ void store_moments(const WgmmaTile& tile, int own,
                                                const float (&sums)[T::rows / 2],
                                                const float (&bias)[2]) const {
    const auto stored = [&](int i) {
      const float one = sums[i] + bias[i / 2 % 2], other = sums[i + 1] + bias[i / 2 % 2];
      if constexpr (sizeof(typename T::Element) == 4) {
        return Vec<float, 2>{{one, other}};
      } else {
        const uint32_t pair = bf16_pair(one, other);
        return Vec<float, 2>{{float_of(pair << 16), float_of(pair >> 16 << 16)}};
      }
    };
    const int t = thread % 4;
    const int left = problem.rows - tile.row0 - 2 * t;  // from this thread's first row on
    const float shift[2] = {stored(0)[0], stored(2)[0]};
    float sum[2] = {}, squares[2] = {};
    const auto add = [&](auto is_whole) {
#pragma unroll
      for (int i = 0; i < T::rows / 2; i += 2) {
        const Vec<float, 2> values = stored(i);
        const int half = i / 2 % 2;
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          const float beyond = values[e] - shift[half];
          if (!is_whole && i / 4 * 8 + e >= left) continue;
          sum[half] += beyond;
          squares[half] += beyond * beyond;
        }
      }
    };
    // All rows of most tiles are there, and need not be asked for one by one.
    problem.rows - tile.row0 >= T::rows ? add(std::true_type{}) : add(std::false_type{});
    const int whole = min_of(left < 0 ? 0 : left, T::rows);
    const double count = whole / 8 * 2 + min_of(whole % 8, 2);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const double by = shift[half];
      double moments[2] = {sum[half] + count * by,
                           squares[half] + by * (2.0 * sum[half] + count * by)};
#pragma unroll
      for (int k = 0; k < 2; ++k) {
        for (int distance = 1; distance < 4; distance *= 2)
          moments[k] += __shfl_xor_sync(all_lanes, moments[k], distance);
        const int column = own + half * 8;
        if (t > 0 || column >= problem.columns) continue;
        problem.moments[(int64_t{tile.row0 / T::rows} * 2 + k) * problem.columns + column] =
            moments[k];
      }
    }
  }

  /// Fetches what is to be added to the sums while they are formed.
  __device__ __forceinline__ void fetch_addend(const WgmmaTile& tile, int column0) const {
    const GemmOutput& out = problem.out;
    if (!out.adds() || column0 >= problem.columns) return;
    for (int row = thread; row < T::rows; row += 128) {
      const int place = feed.place(tile.row0 + row, tile.phase, problem.rows);
      if (place < 0) continue;
      const int64_t at = out.place(place, column0, tile.tap, tile.split);
      if (out.rounded_addend) {
        prefetch(out.rounded_addend + at);
      } else {
        prefetch(out.addend + at);
        if (column0 + 32 < problem.columns) prefetch(out.addend + at + 32);
      }
    }
  }

  /// Where the 16 bytes `chunk` of a row lie: exchanged so that lanes that write or read at once
  /// meet no bank twice. Of bf16 a row is a line of 128 bytes, of floats two.
  static __device__ __forceinline__ uint8_t* place_of(uint8_t* turned, bf16, int row, int chunk) {
    return turned + row * 128 + (chunk ^ row % 8) * 16;
  }
  static __device__ __forceinline__ uint8_t* place_of(uint8_t* turned, float, int row, int chunk) {
    return turned + row * 256 + (chunk ^ row / 2 % 4 * 2) * 16;
  }

  /// 64 rows of bf16; each warp has 16 columns of them.
  template <class Sums>
  __device__ __forceinline__ void turn_rounded(uint8_t* turned, const Sums& sums) const {
    const int lane = thread % 32, chunk = thread / 32 * 2 + lane / 8 % 2;
#pragma unroll
    for (int j = 0; j < 8; j += 2) {
      uint32_t words[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int first = (j + i / 2) * 4 + i % 2 * 2;
        words[i] = bf16_pair(sums(first), sums(first + 1));
      }
      stmatrix_x4_transposed(place_of(turned, bf16{}, (j + lane / 16) * 8 + lane % 8, chunk),
                             words);
    }
  }
  /// 32 rows of floats.
  template <class Sums>
  __device__ __forceinline__ void turn_floats(uint8_t* turned, const Sums& sums) const {
    const int t = thread % 4, own = thread / 32 * 16 + thread % 32 / 4;
#pragma unroll
    for (int i = 0; i < 16; ++i) {
      const int row = i / 4 * 8 + 2 * t + i % 2, column = own + i / 2 % 2 * 8;
      auto* at = reinterpret_cast<float*>(place_of(turned, 0.0f, row, column / 4));
      at[column % 4] = sums(i);
    }
  }

  /// As many rows as 8 KiB hold: turn(memory) lays them there, and all threads store them.
  template <bool Adds, class E, class Turn>
  __device__ __forceinline__ void store_lines(const WgmmaTile& tile, int column0, int part, E,
                                              const Turn& turn_round) {
    constexpr int each = 16 / sizeof(E), across = 64 / each, rows = 128 / across;
    uint8_t* turned = shared.turned[group][turn % 2];
    turn_round(turned);
    __syncwarp(all_lanes);
    if (thread % 32 == 0) mbarrier_arrive(shared.turned_full[group]);
    mbarrier_wait(shared.turned_full[group], turn % 2);
    ++turn;
    const int chunk = thread % across, column = column0 + chunk * each;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int row = i * rows + thread / across;
      const int place = feed.place(tile.row0 + part * 4 * rows + row, tile.phase, problem.rows);
      if (place < 0 || column >= problem.columns) continue;
      const uint8_t* from = place_of(turned, E{}, row, chunk);
      const int64_t at = problem.out.place(place, column, tile.tap, tile.split);
      if (problem.out.vectors) {
        using Word = std::conditional_t<sizeof(E) == 4, float, uint32_t>;
        problem.out.template store_line<Adds>(at, load_vec<4>(reinterpret_cast<const Word*>(from)));
      } else {
        problem.out.template store_some<Adds>(at, reinterpret_cast<const E*>(from),
                                              min_of(each, problem.columns - column));
      }
    }
  }
};

/// A warpgroup: 64 columns of each tile, or every second tile.
template <class Feed, class T = typename Feed::T>
__device__ __forceinline__ void wgmma_consume(WgmmaShared<T>& shared, const Feed& feed,
                                              const WgmmaProblem& problem) {
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32, group = thread / 128;
  const int columns = T::takes_turns ? 0 : group;  // of the tile, in panels
  WgmmaStore<Feed> store = {shared, feed, problem, group, thread % 128};
  RingPlace<T::stages> at;
  int turn = -1;
  for (int item = static_cast<int>(blockIdx.x); item < problem.items();
       item += static_cast<int>(gridDim.x)) {
    const WgmmaTile tile = problem.tile(item, feed);
    if constexpr (T::takes_turns) {
      if (++turn % 2 != group) {
        at.advance((tile.k_end - tile.k_begin + Feed::pieces - 1) / Feed::pieces);
        continue;
      }
      // Not before the other has seen all its stages full: a parity tells one round of the ring
      // from the next, but not from the one after that.
      if (turn > 0) mbarrier_wait(shared.turn_over[1 - group], (turn - 1) / 2 % 2);
    }
    store.fetch_addend(tile, tile.column0 + columns * 64);
    float sums[T::rows / 2] = {};
    int before = 0;  // the stage whose wgmma may still be under way
    for (int step = tile.k_begin; step < tile.k_end; step += Feed::pieces, at.advance()) {
      const auto& stage = shared.stage[at.stage];
      mbarrier_wait(shared.full[at.stage], at.parity);
      wgmma_fence();
#pragma unroll
      for (int word = 0; word < T::words; ++word) {
        const uint64_t a = Feed::a(stage, columns, word), b = Feed::b(stage, word);
        if constexpr (sizeof(typename T::Element) == 4) {
          static_assert(Feed::a_along_k && Feed::b_along_k);
          wgmma_tf32<T::rows>(sums, a, b, true);
        } else {
          wgmma_bf16<T::rows, Feed::a_along_k, Feed::b_along_k>(sums, a, b, true);
        }
      }
      wgmma_commit();
      wgmma_wait<1>();
      if (step > tile.k_begin && lane == 0) mbarrier_arrive(shared.empty[before]);
      before = at.stage;
    }
    if constexpr (T::takes_turns) {
      __syncwarp(all_lanes);  // a phase without taps has no wgmma for which the lanes meet
      if (lane == 0) mbarrier_arrive(shared.turn_over[group]);
    }
    wgmma_wait<0>();
    if (tile.k_end > tile.k_begin && lane == 0) mbarrier_arrive(shared.empty[before]);
    store(tile, tile.column0 + columns * 64, sums);
  }
}

/// One block: two warpgroups of consumers, then the producer's.
template <class Feed, class T = typename Feed::T>
__global__ void __launch_bounds__(T::threads, 1)
    conv2d_wgmma_kernel(const __grid_constant__ TensorMap a, const __grid_constant__ TensorMap b,
                        Feed feed, WgmmaProblem problem) {
  if constexpr (!has_wgmma) return;  // plans do not choose it there
  auto& shared = *dynamic_shared<WgmmaShared<T>>();
  const int thread = static_cast<int>(threadIdx.x);
  if (thread == 0) {
    for (int i = 0; i < T::stages; ++i) {
      mbarrier_init(shared.full[i], 1);
      mbarrier_init(shared.empty[i], 4 * (T::takes_turns ? 1 : T::groups));
    }
    for (int i = 0; i < T::groups; ++i) {
      mbarrier_init(shared.turned_full[i], 4);
      mbarrier_init(shared.turn_over[i], 4);
    }
    fence_mbarrier_init();
  }
  __syncthreads();
  wait_for_kernels_before();
  if (thread >= T::groups * 128) {
    if constexpr (T::trades_registers) fewer_registers<40>();
    if (thread == T::groups * 128) wgmma_produce(shared, a, b, feed, problem);
  } else {
    if constexpr (T::trades_registers) more_registers<232>();
    wgmma_consume(shared, feed, problem);
  }
}

}  // namespace fettle
