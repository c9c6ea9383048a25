// What the producer of rung 6 copies into a stage, and where wgmma finds its operands there: a feed
// for each direction.
#pragma once

#include "kernels/conv2d/wgmma_problem.cuh"

namespace fettle {

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

/// What a feed knows of its rows and sums where there is one phase, and of its operands where wgmma
/// takes both as they were copied.
struct OnePhase {
  static constexpr bool is_turned = false;
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
  static constexpr bool is_turned = false;
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

/// Feeds backward weight in bf16. A step is 64 pixels, a whole stage. Where there are just as many
/// channels as a narrow line holds, the taps lie side by side in the columns, a piece each.
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

/// Feeds backward weight in tf32, which wgmma takes along k alone. A step is 32 pixels, whose lines
/// of 32 channels are copied as panels of 4 KiB. Consumers fetch the columns into registers, where
/// a lane may have any; warps of the producer turn the panels of the rows, each in its place.
///
/// Word w of a stage sums the pixels 8 w to 8 w + 7, the even ones first: so the lanes that fetch
/// factors at once, of four even or four odd pixels, meet no bank twice.
template <class Tiling>
struct WindowsTimesTurnedOutputs : OnePhase {
  using T = Tiling;
  using Stage = typename WgmmaShared<T>::Stage;
  static constexpr bool is_turned = true;
  static constexpr int pieces = 1, pixels = 32, panel_bytes = pixels * 128;
  WindowPlaces windows;

  __device__ __forceinline__ void fill(Stage& to, int, const TensorMap& a, const TensorMap& b,
                                       Mbarrier& full, const WgmmaTile& tile, int step) const {
    const int pixel = step * pixels;
#pragma unroll
    for (int i = 0; i < T::columns / 32; ++i) {
      windows.copy(to.a + i * panel_bytes, a, full, pixel, tile.tap, tile.column0 + i * 32);
    }
#pragma unroll
    for (int i = 0; i < T::rows / 32; ++i) {
      bulk_copy(to.b + i * panel_bytes, b, full, tile.row0 + i * 32, pixel);
    }
  }

  /// Where the 16 bytes `chunk` of a line lie, of a panel or of a panel turned round.
  static __device__ __forceinline__ int place_of(int line, int chunk) {
    return line * 128 + (chunk ^ line % 8) * 16;
  }

  /// By a warp: lines of 32 channels become lines of 32 pixels, in the order of the words.
  static __device__ __forceinline__ void turn(uint8_t* panel, int lane) {
    float values[pixels];  // of this lane's channel
#pragma unroll
    for (int i = 0; i < pixels; ++i)
      values[i] = reinterpret_cast<const float*>(panel + place_of(i, lane / 4))[lane % 4];
    __syncwarp(all_lanes);
#pragma unroll
    for (int i = 0; i < pixels / 4; ++i) {
      const int first = i / 2 * 8 + i % 2;
      store_vec(
          reinterpret_cast<float*>(panel + place_of(lane, i)),
          Vec<float, 4>{{values[first], values[first + 2], values[first + 4], values[first + 6]}});
    }
  }

  /// A of all words for a thread of the consumer that has the 64 columns from `columns` * 64 on.
  static __device__ __forceinline__ void fetch_a(const Stage& stage, int columns, int thread,
                                                 uint32_t (&a)[T::words][4]) {
    const int first = columns * 64 + thread / 32 * 16, g = thread % 32 / 4, t = thread % 4;
    const uint8_t* panel = stage.a + first / 32 * panel_bytes;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int c = first % 32 + g + i % 2 * 8, pixel = 2 * t + i / 2;
      const uint8_t* from = panel + place_of(pixel, c / 4) + c % 4 * 4;
#pragma unroll
      for (int word = 0; word < T::words; ++word)
        a[word][i] = *reinterpret_cast<const uint32_t*>(from + word * 8 * 128);
    }
  }
  static __device__ __forceinline__ uint64_t b(const Stage& stage, int word) {
    return along_k<T>(stage.b, T::rows, word);
  }
};

}  // namespace fettle
