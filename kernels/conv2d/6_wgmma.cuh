// Rung 6: a whole warpgroup multiplies, and nobody computes an address. One thread of the
// producer's warpgroup starts bulk copies of boxes: 128 bytes of channels (64 bf16 or 32 floats) of
// 64 or 128 windows, and of as many filters; the copy engine finds the windows, swizzles the boxes
// and fills in zeros outside the picture. Two warpgroups of consumers give the boxes to wgmma as
// they lie in shared memory and hold the sums, 64 rows each. Mbarriers pass the stages of the ring
// to and fro.
//
// A block works through tiles of 128 x TileN outputs, one after another: while the consumers store
// the sums of one, the producer fills the ring for the next.
//
//                     rows (A)                       columns (B)            summed
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
// Shared memory: `stages` of (128 + TileN) x 128 bytes. Traffic as in rung 5, but no register or
// instruction of the multiplying warps moves data. The sums go from registers to global memory:
// four lanes fill a sector of fp32, or trade words until each has 16 bytes of bf16 in a row. The
// limit it aims for is the rate of wgmma.
#pragma once

#include "kernels/conv2d/operands.cuh"

namespace fettle {

/// Elements are bf16, or float for tf32.
template <class E, int TileN, int Stages>
struct WgmmaTiling {
  using Element = E;
  static constexpr int M = 128, N = TileN, stages = Stages;
  static constexpr int line_bytes = 128, depth = line_bytes / static_cast<int>(sizeof(E));
  static constexpr int panel_bytes = 64 * line_bytes;  ///< 64 lines
  static constexpr int a_bytes = M / 64 * panel_bytes, b_bytes = N / 64 * panel_bytes;
  static constexpr int consumers = 256, threads = consumers + 128;
  /// Where the sums take most of the registers, the producer gives its own away.
  static constexpr bool trades_registers = N == 256;
};

template <class T>
struct WgmmaShared {
  struct Stage {
    alignas(1024) uint8_t a[T::a_bytes], b[T::b_bytes];
  } stage[T::stages];
  Mbarrier full[T::stages], empty[T::stages];
};

/// A place in the ring, and the parity of the phases there.
template <int Stages>
struct RingPlace {
  int stage = 0, parity = 0;
  __device__ __forceinline__ void advance() {
    if (++stage < Stages) return;
    stage = 0;
    parity ^= 1;
  }
};

/// One tile of the result and one part of the sum.
struct WgmmaTile {
  int m0, column0, phase, tap, split, k_begin, k_end;
};

/// The result as tiles. M rows belong to each phase (backward input) and `columns` columns to each
/// tap (backward weight, whose taps are what groups are elsewhere), or there are no more; the
/// summed axis counts in steps of `depth`, K at most.
struct WgmmaProblem {
  GemmOutput out;
  int M, columns;
  Divider by_tiles_n, by_tiles_m, by_tiles_of_phase, by_tiles_of_tap;
  int K, splits = 1, k_per_split = 0;

  __device__ int items() const {
    return static_cast<int>(by_tiles_n.divisor * by_tiles_m.divisor) * splits;
  }
  template <class Feed>
  __device__ __forceinline__ WgmmaTile tile(int item, const Feed& feed) const {
    const int line = by_tiles_n.quotient(item), n = by_tiles_n.remainder(item, line);
    const int split = by_tiles_m.quotient(line), m = by_tiles_m.remainder(line, split);
    const int phase = by_tiles_of_phase.quotient(m), tap = by_tiles_of_tap.quotient(n);
    const int k_begin = split * k_per_split;
    return {by_tiles_of_phase.remainder(m, phase) * Feed::T::M,
            by_tiles_of_tap.remainder(n, tap) * Feed::T::N,
            phase,
            tap,
            split,
            k_begin,
            min_of(k_begin + k_per_split, feed.steps(phase, K))};
  }
};

/// Where the windows of a convolution lie.
struct WindowPlaces {
  Divider by_Q, by_P, by_S;
  int stride_h, stride_w, first_h, first_w, dilation_h, dilation_w;

  /// Starts the copy of the channels from c on, at an offset in the windows from i on; of a
  /// convolution by 1x1 without stride or padding, of the pixels themselves (`Tiled`).
  template <bool Tiled>
  __device__ __forceinline__ void copy(void* to, const TensorMap& map, Mbarrier& full, int i,
                                       int offset_h, int offset_w, int c) const {
    if constexpr (Tiled) {
      bulk_copy(to, map, full, c, i);
    } else {
      const PixelIndex at = pixel_index(i, by_Q, by_P);
      bulk_copy_windows(to, map, full, c, at.column * stride_w + first_w,
                        at.row * stride_h + first_h, at.n, offset_w, offset_h);
    }
  }
  /// The same under `tap`.
  template <bool Tiled>
  __device__ __forceinline__ void copy(void* to, const TensorMap& map, Mbarrier& full, int i,
                                       int tap, int c) const {
    const int r = by_S.quotient(tap), s = by_S.remainder(tap, r);
    copy<Tiled>(to, map, full, i, r * dilation_h, s * dilation_w, c);
  }
};

/// What a feed knows of its rows and sums where there is one phase.
struct OnePhase {
  __device__ int steps(int, int K) const { return K; }
  __device__ int place(int m, int, int M) const { return m < M ? m : -1; }
};

/// Feeds forward.
template <class Tiling, bool Tiled>
struct WindowsTimesFilters : OnePhase {
  using T = Tiling;
  static constexpr bool a_along_k = true, b_along_k = true;
  WindowPlaces windows;
  Divider by_chunks;  ///< steps of a tap

  __device__ __forceinline__ void fill(typename WgmmaShared<T>::Stage& to, const TensorMap& a,
                                       const TensorMap& b, Mbarrier& full, const WgmmaTile& tile,
                                       int step) const {
    const int tap = by_chunks.quotient(step), c = by_chunks.remainder(step, tap) * T::depth;
    windows.template copy<Tiled>(to.a, a, full, tile.m0, tap, c);
    bulk_copy(to.b, b, full, c, tap, tile.column0);
  }
};

/// Feeds backward input: the windows are those of dy that the pixels of a phase see.
template <class Tiling, bool Tiled>
struct PhasesTimesFilters {
  using T = Tiling;
  static constexpr bool a_along_k = true, b_along_k = sizeof(typename T::Element) == 4;
  WindowPlaces windows;
  InputPhases phases;
  Divider by_chunks;
  int S;

  __device__ int steps(int phase, int) const {
    return phases.taps(phase) * static_cast<int>(by_chunks.divisor);
  }
  __device__ int place(int m, int phase, int M) const {
    const PixelIndex at = pixel_index(m, windows.by_Q, windows.by_P);
    return m < M ? phases.place(at.n, at.row, at.column, phase) : -1;
  }
  __device__ __forceinline__ void fill(typename WgmmaShared<T>::Stage& to, const TensorMap& a,
                                       const TensorMap& b, Mbarrier& full, const WgmmaTile& tile,
                                       int step) const {
    const AxisPhase &rows = phases.rows(tile.phase), &columns = phases.columns(tile.phase);
    const int tap = by_chunks.quotient(step), k = by_chunks.remainder(step, tap) * T::depth;
    const int i = columns.by_taps.quotient(tap), j = columns.by_taps.remainder(tap, i);
    const int r = rows.tap + i * phases.h.tap_step, s = columns.tap + j * phases.w.tap_step;
    windows.template copy<Tiled>(to.a, a, full, tile.m0,
                                 rows.offset - i * phases.h.dilation - windows.first_h,
                                 columns.offset - j * phases.w.dilation - windows.first_w, k);
    if constexpr (b_along_k) {
      bulk_copy(to.b, b, full, k, r * S + s, tile.column0);
    } else {
#pragma unroll
      for (int panel = 0; panel < T::N / 64; ++panel) {
        bulk_copy(to.b + panel * T::panel_bytes, b, full, tile.column0 + panel * 64, r * S + s, k);
      }
    }
  }
};

/// Feeds backward weight.
template <class Tiling, bool Tiled>
struct OutputsTimesWindows : OnePhase {
  using T = Tiling;
  static constexpr bool a_along_k = false, b_along_k = false;
  WindowPlaces windows;

  __device__ __forceinline__ void fill(typename WgmmaShared<T>::Stage& to, const TensorMap& a,
                                       const TensorMap& b, Mbarrier& full, const WgmmaTile& tile,
                                       int step) const {
    const int pixel = step * T::depth;
#pragma unroll
    for (int i = 0; i < T::M / 64; ++i) {
      bulk_copy(to.a + i * T::panel_bytes, a, full, tile.m0 + i * 64, pixel);
    }
#pragma unroll
    for (int i = 0; i < T::N / 64; ++i) {
      windows.template copy<Tiled>(to.b + i * T::panel_bytes, b, full, pixel, tile.tap,
                                   tile.column0 + i * 64);
    }
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
    for (int step = tile.k_begin; step < tile.k_end; ++step, at.advance()) {
      Mbarrier& full = shared.full[at.stage];
      mbarrier_wait(shared.empty[at.stage], at.parity ^ 1);
      mbarrier_arrive_expect(full, T::a_bytes + T::b_bytes);
      feed.fill(shared.stage[at.stage], a, b, full, tile, step);
    }
  }
}

/// A warpgroup: 64 rows of each tile.
template <class Feed, class T = typename Feed::T>
__device__ __forceinline__ void wgmma_consume(WgmmaShared<T>& shared, const Feed& feed,
                                              const WgmmaProblem& problem) {
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32;
  const int group = thread / 128, row0 = thread / 32 * 16;
  RingPlace<T::stages> at;
  for (int item = static_cast<int>(blockIdx.x); item < problem.items();
       item += static_cast<int>(gridDim.x)) {
    const WgmmaTile tile = problem.tile(item, feed);
    float sums[T::N / 2] = {};
    int before = 0;  // the stage whose wgmma may still be under way
    for (int step = tile.k_begin; step < tile.k_end; ++step, at.advance()) {
      const auto& stage = shared.stage[at.stage];
      mbarrier_wait(shared.full[at.stage], at.parity);
      wgmma_fence();
#pragma unroll
      for (int k = 0; k < T::line_bytes / 32; ++k) {  // a word has 32 bytes of k
        const uint64_t a = wgmma_descriptor(
            stage.a + group * T::panel_bytes + k * (Feed::a_along_k ? 32 : 16 * 128),
            T::panel_bytes, 1024, Swizzle::bytes128);
        const uint64_t b = wgmma_descriptor(stage.b + k * (Feed::b_along_k ? 32 : 16 * 128),
                                            T::panel_bytes, 1024, Swizzle::bytes128);
        if constexpr (sizeof(typename T::Element) == 4) {
          static_assert(Feed::a_along_k && Feed::b_along_k);
          wgmma_tf32<T::N>(sums, a, b, true);
        } else {
          wgmma_bf16<T::N, Feed::a_along_k, Feed::b_along_k>(sums, a, b, true);
        }
      }
      wgmma_commit();
      wgmma_wait<1>();
      if (step > tile.k_begin && lane == 0) mbarrier_arrive(shared.empty[before]);
      before = at.stage;
    }
    wgmma_wait<0>();
    if (tile.k_end > tile.k_begin && lane == 0) mbarrier_arrive(shared.empty[before]);

    const int m = tile.m0 + row0 + lane / 4;
    const int rows[2] = {feed.place(m, tile.phase, problem.M),
                         feed.place(m + 8, tile.phase, problem.M)};
    store_mma_sums<T::N / 8>(problem.out, rows, tile.column0, problem.columns, tile.tap, tile.split,
                             lane, [&](int j, int e) { return sums[j * 4 + e]; });
  }
}

/// One block: two warpgroups of consumers, then the producer's.
template <class Feed, class T = typename Feed::T>
__global__ void __launch_bounds__(T::threads, 1)
    conv2d_wgmma_kernel(const __grid_constant__ TensorMap a, const __grid_constant__ TensorMap b,
                        Feed feed, WgmmaProblem problem) {
  auto& shared = *dynamic_shared<WgmmaShared<T>>();
  const int thread = static_cast<int>(threadIdx.x);
  if (thread == 0) {
    for (int i = 0; i < T::stages; ++i) {
      mbarrier_init(shared.full[i], 1);
      mbarrier_init(shared.empty[i], T::consumers / 32);
    }
    fence_mbarrier_init();
  }
  __syncthreads();
  if (thread >= T::consumers) {
    if constexpr (T::trades_registers) fewer_registers<40>();
    if (thread == T::consumers) wgmma_produce(shared, a, b, feed, problem);
  } else {
    if constexpr (T::trades_registers) more_registers<232>();
    wgmma_consume(shared, feed, problem);
  }
}

}  // namespace fettle
