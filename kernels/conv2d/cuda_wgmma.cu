#include "kernels/conv2d/cuda_wgmma.h"

#include <algorithm>

#include "kernels/conv2d/6_wgmma.cuh"
#include "kernels/conv2d/bf16_operands.cuh"
#include "kernels/conv2d/splits.cuh"

namespace fettle {
namespace {

template <class E>
constexpr TensorElement element_of = sizeof(E) == 4 ? TensorElement::tf32 : TensorElement::bf16;
constexpr Swizzle b128 = Swizzle::bytes128;

/// The tilings by Conv2dPlan::tile. Two blocks of the first fit a multiprocessor.
template <class E, class F>
void with_tiling_of(int tile, const F& f) {
  if (tile == 0) return f(WgmmaTiling<E, 64, 4>{});
  if (tile == 1) return f(WgmmaTiling<E, 128, 6>{});
  if constexpr (sizeof(E) == 2) f(WgmmaTiling<E, 256, 4>{});
}
template <class F>
void with_tiling(const Conv2dPlan& plan, const F& f) {
  if (plan.precision == Precision::tf32) return with_tiling_of<float>(plan.tile, f);
  with_tiling_of<bf16>(plan.tile, f);
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
  if (tiled) return tiled_map(element, base, {w.C, w.N * w.H * w.W}, {w.channels, pixels}, b128);
  return windows_map(element, base, w, b128);
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
          static_cast<int>(s.dilation_w)};
}

WgmmaProblem problem(const GemmOutput& out, int64_t M, int64_t phases, int64_t columns,
                     int64_t taps, int64_t steps, int tile_m, int tile_n) {
  const int64_t tiles_of_phase = (M + tile_m - 1) / tile_m;
  const int64_t tiles_of_tap = (columns + tile_n - 1) / tile_n;
  return {.out = out,
          .M = static_cast<int>(M),
          .columns = static_cast<int>(columns),
          .by_tiles_n = Divider(tiles_of_tap * taps),
          .by_tiles_m = Divider(tiles_of_phase * phases),
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
                  int64_t{part.by_tiles_n.divisor} * part.by_tiles_m.divisor * part.splits;
              const int blocks = gpu_info().multiprocessors * (T::N == 64 ? 2 : 1);
              launch(call.name, conv2d_wgmma_kernel<Feed>,
                     static_cast<unsigned>(std::min<int64_t>(items, blocks)), T::threads,
                     sizeof(WgmmaShared<T>), call.device, a, b, feed, part);
            });
}

/// Forward and backward input: calls start(tiling, tiled, windows, their map, map of the filters).
template <bool Forward, class F>
void with_windows_and_filters(const WgmmaCall& call, const WindowsMap& w, const F& start) {
  const Conv2dShape s = stored(call);
  const bool tiled = pointwise(s, w);
  with_tiling(call.plan, [&](auto tiling) {
    using T = decltype(tiling);
    using E = typename T::Element;
    constexpr bool transposed = !Forward && sizeof(E) == 4, along_k = Forward || transposed;
    const TensorMap windows = map_of_windows<T>(call.a, w, T::M, tiled);
    const TensorMap filters = tiled_map(element_of<E>, call.b,
                                        {transposed ? s.K : s.C, s.R * s.S, transposed ? s.C : s.K},
                                        {T::depth, 1, along_k ? T::N : 64}, b128);
    if (tiled) {
      start(tiling, std::true_type{}, windows, filters);
    } else {
      start(tiling, std::false_type{}, windows, filters);
    }
  });
}

}  // namespace

void conv2d_forward_wgmma(const WgmmaCall& call) {
  const Conv2dShape& s = call.shape;
  const WindowsMap w = windows_of_x(stored(call));
  const int64_t M = s.N * s.P * s.Q;
  with_windows_and_filters<true>(
      call, w, [&](auto tiling, auto tiled, const TensorMap& windows, const TensorMap& filters) {
        using T = decltype(tiling);
        const int64_t chunks = (w.C + T::depth - 1) / T::depth;
        WindowsTimesFilters<T, tiled.value> feed;
        feed.windows = places(w, s);
        feed.by_chunks = Divider(chunks);
        run(call, windows, filters, feed,
            problem(call.out, M, 1, s.K, 1, s.R * s.S * chunks, T::M, T::N), M * s.K);
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
  const int64_t M = w.N * w.P * w.Q, taps = phases.h.taps * phases.w.taps;
  with_windows_and_filters<false>(
      call, w, [&](auto tiling, auto tiled, const TensorMap& windows, const TensorMap& filters) {
        using T = decltype(tiling);
        const int64_t chunks = (w.C + T::depth - 1) / T::depth;
        const PhasesTimesFilters<T, tiled.value> feed = {places(w, s), phases, Divider(chunks),
                                                         static_cast<int>(s.S)};
        run(call, windows, filters, feed,
            problem(call.out, M, phases.count(), s.C, 1, taps * chunks, T::M, T::N),
            s.N * s.H * s.W * s.C);
      });
}

void conv2d_backward_weight_wgmma(const WgmmaCall& call) {
  const Conv2dShape &s = call.shape, eights = in_eights(s);
  const int64_t pixels = s.N * s.P * s.Q, taps = s.R * s.S;
  const WindowsMap w = windows_of_x(eights);
  const bool tiled = pointwise(s, w);
  with_tiling_of<bf16>(call.plan.tile, [&](auto tiling) {
    using T = decltype(tiling);
    const TensorMap outputs =
        tiled_map(TensorElement::bf16, call.a, {eights.K, pixels}, {64, 64}, b128);
    const auto start = [&](auto feed) {
      feed.windows = places(w, s);
      run(call, outputs, map_of_windows<T>(call.b, w, 64, tiled), feed,
          problem(call.out, s.K, 1, s.C, taps, (pixels + 63) / 64, T::M, T::N), s.K * taps * s.C);
    };
    if (tiled) {
      start(OutputsTimesWindows<T, true>{});
    } else {
      start(OutputsTimesWindows<T, false>{});
    }
  });
}

}  // namespace fettle
