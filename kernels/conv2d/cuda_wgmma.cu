#include "kernels/conv2d/cuda_wgmma.h"

#include <algorithm>
#include <utility>

#include "kernels/conv2d/6_wgmma.cuh"
#include "kernels/conv2d/bf16_operands.cuh"
#include "kernels/conv2d/splits.cuh"
#include "kernels/conv2d/wgmma_tiles.h"

namespace fettle {
namespace {

template <class E>
constexpr TensorElement element_of = sizeof(E) == 4 ? TensorElement::tf32 : TensorElement::bf16;
constexpr Swizzle b128 = Swizzle::bytes128;

/// Calls f with the tiling of the plan.
template <class E, bool BackwardWeight, int Tile = 0, class F>
void with_tiling_of(int tile, const F& f) {
  if constexpr (Tile < wgmma_tile_count) {
    if (tile != Tile) return with_tiling_of<E, BackwardWeight, Tile + 1>(tile, f);
    if constexpr (has_wgmma_tile(Tile, BackwardWeight, sizeof(E))) {
      constexpr WgmmaTileExtents t = wgmma_tiles[Tile];
      f(WgmmaTiling<E, t.rows, t.columns, t.stages, t.line_bytes, t.pieces>{});
    }
  }
}
template <class F>
void with_tiling(const Conv2dPlan& plan, const F& f) {
  if (plan.precision == Precision::tf32) return with_tiling_of<float, false>(plan.tile, f);
  with_tiling_of<bf16, false>(plan.tile, f);
}

/// The convolution of the tensors as they lie.
Conv2dShape stored(const WgmmaCall& call) {
  return call.plan.precision == Precision::tf32 ? call.shape : in_eights(call.shape);
}

/// Whether a convolution by 1x1 reads the pixels as they lie.
bool pointwise(const Conv2dShape& s, const WindowsMap& w) {
  return s.R == 1 && s.S == 1 && w.stride_h == 1 && w.stride_w == 1 && w.first_h == 0 &&
         w.first_w == 0 && w.P == w.H && w.Q == w.W;
}

/// The windows of the convolution over x; the box is left open.
WindowsMap windows_of_x(const Conv2dShape& s) {
  return {.N = s.N,
          .H = s.H,
          .W = s.W,
          .C = s.C,
          .P = s.P,
          .Q = s.Q,
          .stride_h = s.stride_h,
          .stride_w = s.stride_w,
          .first_h = -s.pad_top,
          .first_w = -s.pad_left,
          .pixels = 0,
          .channels = 0};
}

/// Boxes of `pixels` by a line of channels under the windows of an NHWC tensor.
template <class T>
TensorMap map_of_windows(const void* base, WindowsMap w, int pixels, bool tiled) {
  constexpr TensorElement element = element_of<typename T::Element>;
  w.pixels = pixels;
  w.channels = T::depth;
  if (tiled)
    return tiled_map(element, base, {w.C, w.N * w.H * w.W}, {w.channels, pixels}, T::swizzle);
  return windows_map(element, base, w, T::swizzle);
}

WindowPlaces places(const WindowsMap& w, const Conv2dShape& s) {
  return {Divider(w.Q),
          Divider(w.P),
          Divider(s.S),
          static_cast<int>(w.stride_h),
          static_cast<int>(w.stride_w),
          static_cast<int>(w.first_h),
          static_cast<int>(w.first_w),
          static_cast<int>(s.dilation_h),
          static_cast<int>(s.dilation_w),
          pointwise(s, w)};
}

template <class T>
WgmmaProblem problem(const GemmOutput& out, int64_t rows, int64_t phases, int64_t columns,
                     int64_t taps, int64_t steps) {
  const int64_t tiles_of_phase = (rows + T::rows - 1) / T::rows;
  const int64_t tiles_of_tap = (columns + T::columns - 1) / T::columns;
  return {.out = out,
          .rows = static_cast<int>(rows),
          .columns = static_cast<int>(columns),
          .by_tiles_across = Divider(tiles_of_tap * taps),
          .by_tiles_down = Divider(tiles_of_phase * phases),
          .by_tiles_of_phase = Divider(tiles_of_phase),
          .by_tiles_of_tap = Divider(tiles_of_tap),
          .K = static_cast<int>(steps)};
}

template <class Feed>
void run(const WgmmaCall& call, const TensorMap& a, const TensorMap& b, const Feed& feed,
         const WgmmaProblem& whole, int64_t outputs) {
  using T = typename Feed::T;
  in_splits(call.name, call.plan.splits, 1, call.device, whole, outputs, 1, 1,
            [&](const WgmmaProblem& part) {
              const int64_t items =
                  int64_t{part.by_tiles_across.divisor} * part.by_tiles_down.divisor * part.splits;
              const int blocks = gpu_info().multiprocessors;
              launch(call.name, conv2d_wgmma_kernel<Feed>,
                     static_cast<unsigned>(std::min<int64_t>(items, blocks)), T::threads,
                     sizeof(WgmmaShared<T>), call.device, a, b, feed, part);
            });
}

}  // namespace

void conv2d_forward_wgmma(const WgmmaCall& call) {
  const Conv2dShape& s = call.shape;
  const WindowsMap w = windows_of_x(stored(call));
  const int64_t taps = s.R * s.S;
  with_tiling(call.plan, [&](auto tiling) {
    using T = decltype(tiling);
    const int64_t chunks = (w.C + T::depth - 1) / T::depth;
    FiltersTimesWindows<T> feed;
    feed.windows = places(w, s);
    feed.by_chunks = Divider(chunks);
    const TensorMap filters =
        tiled_map(element_of<typename T::Element>, call.b, {w.C, taps, stored(call).K},
                  {T::depth, 1, T::columns}, T::swizzle);
    WgmmaProblem whole = problem<T>(call.out, s.N * s.P * s.Q, 1, s.K, 1, taps * chunks);
    whole.moments = call.moments;
    run(call, filters, map_of_windows<T>(call.a, w, T::rows, feed.windows.are_pixels), feed, whole,
        s.N * s.P * s.Q * s.K);
  });
}

void conv2d_backward_input_wgmma(const WgmmaCall& call) {
  const Conv2dShape& s = call.shape;
  const InputPhases phases(s);
  const WindowsMap w = {.N = s.N,
                        .H = s.P,
                        .W = s.Q,
                        .C = stored(call).K,
                        .P = phases.h.pixels,
                        .Q = phases.w.pixels,
                        .stride_h = 1,
                        .stride_w = 1,
                        .first_h = phases.h.first_output,
                        .first_w = phases.w.first_output,
                        .pixels = 0,
                        .channels = 0};
  const int64_t taps = phases.h.taps * phases.w.taps;
  with_tiling(call.plan, [&](auto tiling) {
    using T = decltype(tiling);
    constexpr bool transposed = FiltersTimesPhases<T, true>::a_along_k;
    const int64_t chunks = (w.C + T::depth - 1) / T::depth, C = stored(call).C;
    const TensorMap filters =
        tiled_map(element_of<typename T::Element>, call.b,
                  {transposed ? w.C : C, s.R * s.S, transposed ? C : w.C},
                  {transposed ? T::depth : 64, 1, transposed ? T::columns : T::depth},
                  transposed ? T::swizzle : b128);
    const WindowPlaces windows = places(w, s);
    const auto start = [&](auto feed) {
      run(call, filters, map_of_windows<T>(call.a, w, T::rows, windows.are_pixels), feed,
          problem<T>(call.out, w.N * w.P * w.Q, phases.count(), s.C, 1, taps * chunks),
          s.N * s.H * s.W * s.C);
    };
    const Divider by_chunks(chunks);
    const int S = static_cast<int>(s.S);
    if (phases.count() > 1) {
      start(FiltersTimesPhases<T, true>{windows, phases, by_chunks, S});
    } else {
      start(FiltersTimesPhases<T, false>{windows, phases, by_chunks, S});
    }
  });
}

void conv2d_backward_weight_wgmma(const WgmmaCall& call) {
  const Conv2dShape& s = call.shape;
  const int64_t pixels = s.N * s.P * s.Q, taps = s.R * s.S;
  const WindowsMap w = windows_of_x(stored(call));
  const WindowPlaces windows = places(w, s);
  const auto start = [&](const auto& feed, bool side_by_side) {
    using Feed = std::decay_t<decltype(feed)>;
    using T = typename Feed::T;
    constexpr int channels = 128 / static_cast<int>(sizeof(typename T::Element));
    run(call, map_of_windows<T>(call.b, w, Feed::pixels, windows.are_pixels),
        tiled_map(element_of<typename T::Element>, call.a, {stored(call).K, pixels},
                  {channels, Feed::pixels}, b128),
        feed,
        problem<T>(call.out, s.K, 1, side_by_side ? taps * s.C : s.C, side_by_side ? 1 : taps,
                   (pixels + Feed::pixels - 1) / Feed::pixels),
        s.K * taps * s.C);
  };
  if (call.plan.precision == Precision::tf32) {
    return with_tiling_of<float, true>(call.plan.tile, [&](auto tiling) {
      WindowsTimesTurnedOutputs<decltype(tiling)> feed;
      feed.windows = windows;
      start(feed, false);
    });
  }
  with_tiling_of<bf16, true>(call.plan.tile, [&](auto tiling) {
    using T = decltype(tiling);
    WindowsTimesOutputs<T> feed;
    feed.windows = windows;
    feed.taps = static_cast<int>(taps);
    start(feed, T::pieces > 1);
  });
}

}  // namespace fettle
