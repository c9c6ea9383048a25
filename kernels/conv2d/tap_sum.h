// A convolution on the CPU as a sum over taps, and how its output is cut into boxes: what the ways
// to compute it share.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/conv2d/conv2d.h"
#include "kernels/divide.h"
#include "kernels/small_vector.h"

namespace fettle {

/// One tap: where it reads relative to its pixel, and where its weights begin.
struct Tap {
  int64_t h, w;
  int64_t weight;
};
using Taps = SmallVector<Tap, 49>;

/// out[n,p,q,k] = epilogue(bias[k] + addend[n,p,q,k] + sum over taps t and c of
///                in[n, p*step_h + t.h, q*step_w + t.w, c] * weights[t.weight + c*depth +
///                k*column])
struct TapSum {
  const float* in;
  int64_t N, H, W, C, in_pixel;  // in_pixel: floats from a pixel to the next
  int64_t step_h, step_w;
  Taps taps;  // ordered by h, then w
  const float* weights;
  int64_t depth, column;
  const float* bias;
  Epilogue epilogue;
  float* out;
  int64_t P, Q, K;
  int64_t out_picture, out_row, out_pixel;
  const float* addend = nullptr;  // laid out as out; it may be out
};

inline constexpr int64_t most_lanes = 16;  // floats a vector, of any of the instruction sets

/// K rounded up to whole vectors.
inline int64_t whole_vectors(int64_t K) {
  return round_up(K, most_lanes);
}

/// The part of a convolution's channels that one group sees.
struct Group {
  int64_t C, K;     // channels in and out
  int64_t x, y, w;  // where they begin in a pixel of x, of y, and in the weights
};

inline Group group_of(const Conv2dShape& s, int64_t g) {
  const int64_t C = s.C / s.groups, K = s.K / s.groups;
  return {C, K, g * C, g * K, g * K * s.R * s.S * C};
}

inline TapSum forward_sum(const Conv2dShape& s, const Group& g, const float* x, const float* w,
                          const float* bias, Epilogue epilogue, float* y) {
  TapSum sum{.in = x + g.x,
             .N = s.N,
             .H = s.H,
             .W = s.W,
             .C = g.C,
             .in_pixel = s.C,
             .step_h = s.stride_h,
             .step_w = s.stride_w,
             .taps = {},
             .weights = w + g.w,
             .depth = 1,
             .column = s.R * s.S * g.C,
             .bias = bias ? bias + g.y : nullptr,
             .epilogue = epilogue,
             .out = y + g.y,
             .P = s.P,
             .Q = s.Q,
             .K = g.K,
             .out_picture = s.P * s.Q * s.K,
             .out_row = s.Q * s.K,
             .out_pixel = s.K};
  for (int64_t r = 0; r < s.R; ++r)
    for (int64_t t = 0; t < s.S; ++t)
      sum.taps.push_back(
          {r * s.dilation_h - s.pad_top, t * s.dilation_w - s.pad_left, (r * s.S + t) * g.C});
  return sum;
}

/// The taps along one axis that reach the input pixels first, first + stride, ...: the numerator
/// first + pad - r*dilation must be a multiple of the stride. Falling r gives rising offsets.
struct AxisTap {
  int64_t offset, r;
};
using AxisTaps = SmallVector<AxisTap, 7>;
inline AxisTaps phase_taps(int64_t first, int64_t pad, int64_t extent, int64_t dilation,
                           int64_t stride) {
  AxisTaps taps;
  for (int64_t r = extent - 1; r >= 0; --r) {
    const int64_t numerator = first + pad - r * dilation;
    if (numerator % stride == 0) taps.push_back({numerator / stride, r});
  }
  return taps;
}

inline TapSum backward_input_sum(const Conv2dShape& s, const Group& g, int64_t h0, int64_t w0,
                                 const float* dy, const float* w, float* dx) {
  TapSum sum{.in = dy + g.y,
             .N = s.N,
             .H = s.P,
             .W = s.Q,
             .C = g.K,
             .in_pixel = s.K,
             .step_h = 1,
             .step_w = 1,
             .taps = {},
             .weights = w + g.w,
             .depth = s.R * s.S * g.C,
             .column = 1,
             .bias = nullptr,
             .epilogue = Epilogue::linear,
             .out = dx + (h0 * s.W + w0) * s.C + g.x,
             .P = ceil_div(s.H - h0, s.stride_h),
             .Q = ceil_div(s.W - w0, s.stride_w),
             .K = g.C,
             .out_picture = s.H * s.W * s.C,
             .out_row = s.stride_h * s.W * s.C,
             .out_pixel = s.stride_w * s.C};
  for (const AxisTap& r : phase_taps(h0, s.pad_top, s.R, s.dilation_h, s.stride_h))
    for (const AxisTap& t : phase_taps(w0, s.pad_left, s.S, s.dilation_w, s.stride_w))
      sum.taps.push_back({r.offset, t.offset, (r.r * s.S + t.r) * g.C});
  return sum;
}

/// Output pixels [p0,p1) x [q0,q1) of picture n.
struct Box {
  int64_t n, p0, p1, q0, q1;
  int64_t pixels() const { return (p1 - p0) * (q1 - q0); }
  bool operator==(const Box&) const = default;
};

/// How the output is cut into boxes.
struct Boxes {
  int64_t N, P, Q, rows, columns;  // rows and columns of a whole box
  int64_t down() const { return ceil_div(P, rows); }
  int64_t across() const { return ceil_div(Q, columns); }
  int64_t count() const { return N * down() * across(); }
  Box operator[](int64_t i) const {
    const int64_t q0 = i % across() * columns, p0 = i / across() % down() * rows;
    return {i / (across() * down()), p0, std::min(P, p0 + rows), q0, std::min(Q, q0 + columns)};
  }
};

/// The most that a box may be, unless it is one row of 32 pixels.
struct BoxLimits {
  int64_t floats;  // of the input block
  int64_t pixels;  // of the output
  int64_t columns = INT64_MAX;
};
/// 192 KiB, which leaves room for the weights and the result in second caches of half a mebibyte
/// and more, and pixels enough to amortise the loads of weights.
inline constexpr BoxLimits usual_limits = {48 * 1024, 1024};

/// The window of input that the taps of one output pixel span.
struct Window {
  int64_t h0, w0, h, w;  // first offset and extent
};

inline Window window_of(const Taps& taps) {
  if (taps.empty()) return {0, 0, 1, 1};
  const auto [top, bottom] = std::ranges::minmax(taps, {}, &Tap::h);
  const auto [left, right] = std::ranges::minmax(taps, {}, &Tap::w);
  return {top.h, left.w, bottom.h - top.h + 1, right.w - left.w + 1};
}

/// The most floats of a box's input block, cut as below.
inline int64_t most_block_floats(const Window& window, int64_t step_w, int64_t C,
                                 const BoxLimits& most = usual_limits) {
  return std::max(most.floats, window.h * (31 * step_w + window.w) * C);
}

/// Taps of the first row.
inline int64_t columns_of(const Taps& taps) {
  const auto in_row = [&](const Tap& tap) { return tap.h == taps[0].h; };
  return std::ranges::find_if_not(taps, in_row) - taps.begin();
}

/// Whether it is a sum of one channel by rows of one to three neighbours (three where pixels lie
/// two apart), of which only the first tap of a row's first pixel and the last one of its last may
/// be outside.
inline bool has_narrow_rows(const TapSum& sum) {
  if (sum.C != 1 || sum.K != 1) return false;
  if (sum.taps.empty()) return true;
  const int64_t columns = columns_of(sum.taps), left = sum.taps[0].w;
  const int64_t right = sum.taps[static_cast<size_t>(columns - 1)].w;
  return right - left == columns - 1 && columns <= 3 &&
         (sum.step_w == 1 || (sum.step_w == 2 && columns == 3)) && left >= -1 &&
         (sum.Q - 1) * sum.step_w + right <= sum.W;
}

/// Floats of the input under rows x columns of output pixels.
inline int64_t floats_under(int64_t rows, int64_t columns, int64_t C, int64_t step_h,
                            int64_t step_w, const Window& window) {
  return ((rows - 1) * step_h + window.h) * ((columns - 1) * step_w + window.w) * C;
}

inline Boxes cut(int64_t N, int64_t P, int64_t Q, int64_t C, int64_t step_h, int64_t step_w,
                 const Window& window, const BoxLimits& most = usual_limits) {
  Boxes boxes{N, P, Q, 1, Q};
  const auto floats = [&](int64_t rows, int64_t columns) {
    return floats_under(rows, columns, C, step_h, step_w, window);
  };
  while (boxes.columns > 32 && (floats(1, boxes.columns) > most.floats ||
                                boxes.columns > most.pixels || boxes.columns > most.columns)) {
    boxes.columns = (boxes.columns + 1) / 2;
  }
  while (boxes.rows < P && floats(boxes.rows + 1, boxes.columns) <= most.floats &&
         (boxes.rows + 1) * boxes.columns <= most.pixels) {
    ++boxes.rows;
  }
  return boxes;
}

/// How many pictures may go together where each is one box: as many as one box may be.
inline int64_t pictures_together(const Boxes& boxes, int64_t C, int64_t step_h, int64_t step_w,
                                 const Window& window, const BoxLimits& most) {
  if (boxes.rows < boxes.P || boxes.columns < boxes.Q) return 1;
  const int64_t floats = floats_under(boxes.P, boxes.Q, C, step_h, step_w, window);
  return std::max<int64_t>(1, std::min(most.pixels / (boxes.P * boxes.Q), most.floats / floats));
}

}  // namespace fettle
