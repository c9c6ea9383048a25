#include "kernels/conv2d/cuda_wgmma.h"

#include <algorithm>

#include "kernels/conv2d/6_wgmma.cuh"
#include "kernels/conv2d/bf16_operands.cuh"
#include "kernels/conv2d/splits.cuh"

namespace fettle {
namespace {

constexpr auto bf16_element = TensorElement::bf16;
constexpr Swizzle b128 = Swizzle::bytes128;

/// The tilings by Conv2dPlan::tile. Two blocks of the first fit a multiprocessor.
using Tile0 = WgmmaTiling<64, 4>;
using Tile1 = WgmmaTiling<128, 6>;
using Tile2 = WgmmaTiling<256, 4>;

template <class F>
void with_tiling(const Conv2dPlan& plan, const F& f) {
  if (plan.tile == 0) return f(Tile0{});
  if (plan.tile == 1) return f(Tile1{});
  f(Tile2{});
}

/// A convolution by 1x1 reads the pixels as they lie.
bool pointwise(const Conv2dShape& s) {
  return s.R == 1 && s.S == 1 && s.stride_h == 1 && s.stride_w == 1 && s.pad_top == 0 &&
         s.pad_left == 0 && s.P == s.H && s.Q == s.W;
}

/// The windows of the convolution over x; `pixels` is left open.
WindowsMap windows_of_x(const Conv2dShape& s) {
  return {.N = s.N,
          .H = s.H,
          .W = s.W,
          .C = in_eights(s).C,
          .P = s.P,
          .Q = s.Q,
          .stride_h = s.stride_h,
          .stride_w = s.stride_w,
          .first_h = -s.pad_top,
          .first_w = -s.pad_left,
          .pixels = 0,
          .channels = 64};
}

/// Boxes of `pixels` by 64 channels under the windows of an NHWC tensor.
TensorMap map_of_windows(const bf16* base, const WindowsMap& w, bool tiled) {
  if (tiled) return tiled_map(bf16_element, base, {w.C, w.N * w.H * w.W}, {64, w.pixels}, b128);
  return windows_map(bf16_element, base, w, b128);
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

WgmmaProblem problem(const GemmOutput& out, int64_t M, int64_t columns, int64_t taps, int64_t steps,
                     int tile_m, int tile_n) {
  const int64_t tiles_of_tap = (columns + tile_n - 1) / tile_n;
  return {.out = out,
          .M = static_cast<int>(M),
          .columns = static_cast<int>(columns),
          .by_tiles_n = Divider(tiles_of_tap * taps),
          .by_tiles_m = Divider((M + tile_m - 1) / tile_m),
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

/// Forward, and backward input as the forward convolution of dy: `w` are its windows and `columns`
/// the channels of the result.
template <bool Forward>
void run_windows_times_filters(const WgmmaCall& call, WindowsMap w, int64_t columns) {
  const Conv2dShape &s = call.shape, eights = in_eights(s);
  const int64_t taps = s.R * s.S, chunks = (w.C + 63) / 64, M = w.N * w.P * w.Q;
  const bool tiled = pointwise(s);
  with_tiling(call.plan, [&](auto tiling) {
    using T = decltype(tiling);
    w.pixels = T::M;
    const TensorMap filters = tiled_map(bf16_element, call.b, {eights.C, taps, eights.K},
                                        {64, 1, Forward ? T::N : 64}, b128);
    const auto start = [&](auto feed) {
      feed.windows = places(w, s);
      feed.by_chunks = Divider(chunks);
      feed.last_tap = static_cast<int>(taps) - 1;
      run(call, map_of_windows(call.a, w, tiled), filters, feed,
          problem(call.out, M, columns, 1, taps * chunks, T::M, T::N), M * columns);
    };
    if (tiled) {
      start(WindowsTimesFilters<T, true, Forward>{});
    } else {
      start(WindowsTimesFilters<T, false, Forward>{});
    }
  });
}

}  // namespace

void conv2d_forward_wgmma(const WgmmaCall& call) {
  run_windows_times_filters<true>(call, windows_of_x(call.shape), call.shape.K);
}

void conv2d_backward_input_wgmma(const WgmmaCall& call) {
  const Conv2dShape& s = call.shape;
  run_windows_times_filters<false>(call,
                                   {.N = s.N,
                                    .H = s.P,
                                    .W = s.Q,
                                    .C = in_eights(s).K,
                                    .P = s.H,
                                    .Q = s.W,
                                    .stride_h = 1,
                                    .stride_w = 1,
                                    .first_h = s.pad_top - (s.R - 1) * s.dilation_h,
                                    .first_w = s.pad_left - (s.S - 1) * s.dilation_w,
                                    .pixels = 0,
                                    .channels = 64},
                                   s.C);
}

void conv2d_backward_weight_wgmma(const WgmmaCall& call) {
  const Conv2dShape &s = call.shape, eights = in_eights(s);
  const int64_t pixels = s.N * s.P * s.Q, taps = s.R * s.S;
  WindowsMap w = windows_of_x(s);
  w.pixels = 64;
  const bool tiled = pointwise(s);
  with_tiling(call.plan, [&](auto tiling) {
    using T = decltype(tiling);
    const TensorMap outputs = tiled_map(bf16_element, call.a, {eights.K, pixels}, {64, 64}, b128);
    const auto start = [&](auto feed) {
      feed.windows = places(w, s);
      run(call, outputs, map_of_windows(call.b, w, tiled), feed,
          problem(call.out, s.K, s.C, taps, (pixels + 63) / 64, T::M, T::N), s.K * taps * s.C);
    };
    if (tiled) {
      start(OutputsTimesWindows<T, true>{});
    } else {
      start(OutputsTimesWindows<T, false>{});
    }
  });
}

}  // namespace fettle
