// A box of output pixels and the block of input under it, as the CPU's matrix-like ways see them.
#pragma once

#include <algorithm>

#include "kernels/conv2d/tap_sum.h"
#include "kernels/prefetch.h"
#include "kernels/scratch.h"

namespace fettle {

/// A block of input pixels as the register tile reads it.
struct Block {
  const float* first;           // the pixel under the box's first output pixel, first tap
  int64_t row, pixel;           // floats from a row to the next, from a pixel to the next
  int64_t down = 0, right = 0;  // floats to what the next output pixel reads
  int64_t picture = 0;          // floats to the next picture's block
};

/// Whether every output pixel reads one input pixel and none lies outside.
inline bool is_in_place(const TapSum& sum, const Window& window) {
  return window.h == 1 && window.w == 1 && window.h0 == 0 && window.w0 == 0 &&
         (sum.P - 1) * sum.step_h < sum.H && (sum.Q - 1) * sum.step_w < sum.W;
}

/// Makes one long row of pixels of a sum that is a plain matrix product.
inline void flatten(TapSum& sum, const Window& window) {
  const bool plain = is_in_place(sum, window) && sum.step_h == 1 && sum.step_w == 1 &&
                     sum.P == sum.H && sum.Q == sum.W && sum.out_row == sum.Q * sum.out_pixel;
  if (!plain) return;
  sum.Q *= sum.N * sum.P;
  sum.W = sum.Q;
  sum.N = sum.P = sum.H = 1;
}

/// Boxes times groups of panels of output channels, enough tasks for many cores where there are few
/// boxes. Each task copies its box.
struct BoxTasks {
  BoxTasks(const Boxes& all_boxes, int64_t all_panels)
      : boxes(all_boxes),
        panels(all_panels),
        groups(std::clamp<int64_t>(16 / std::max<int64_t>(1, boxes.count()), 1, panels)) {}
  int64_t count() const { return boxes.count() * groups; }
  Box box(int64_t task) const { return boxes[task / groups]; }
  int64_t first_panel(int64_t task) const { return panels * (task % groups) / groups; }
  int64_t end_panel(int64_t task) const { return panels * (task % groups + 1) / groups; }

  Boxes boxes;
  int64_t panels, groups;
};

/// Copies rows [h0, h0+rows) x [w0, w0+columns) of a picture, whose rows and pixels lie `row` and
/// `pixel` floats apart, with zeros outside it.
inline void copy_with_border(const float* picture, int64_t H, int64_t W, int64_t C, int64_t row,
                             int64_t pixel, int64_t h0, int64_t w0, int64_t rows, int64_t columns,
                             float* to) {
  const int64_t left = std::clamp<int64_t>(-w0, 0, columns);
  const int64_t right = std::clamp<int64_t>(W - w0, left, columns);
  for (int64_t h = h0; h < h0 + rows; ++h, to += columns * C) {
    if (h < 0 || h >= H || left == right) {
      std::fill_n(to, columns * C, 0.0f);
      continue;
    }
    std::fill_n(to, left * C, 0.0f);
    const float* from = picture + h * row + (w0 + left) * pixel;
    if (pixel == C) {
      std::copy_n(from, (right - left) * C, to + left * C);
    } else {
      for (int64_t w = left; w < right; ++w, from += pixel) std::copy_n(from, C, to + w * C);
    }
    std::fill_n(to + right * C, (columns - right) * C, 0.0f);
  }
}

/// Which pixels of the input lie under a box: rows [h0, h0+rows) x [w0, w0+columns) of a picture
/// whose rows and pixels lie `row` and `pixel` floats apart. Where each output pixel reads but one
/// pixel, those between are left out.
struct InputRows {
  const float* picture;
  int64_t H, W, row, pixel, h0, w0, rows, columns;
};

inline InputRows input_rows(const TapSum& sum, const Window& window, const Box& box) {
  const int64_t row = sum.W * sum.in_pixel, pixel = sum.in_pixel;
  const float* picture = sum.in + box.n * sum.H * row;
  const int64_t p = box.p1 - box.p0, q = box.q1 - box.q0;
  if (is_in_place(sum, window))
    return {picture, sum.P, sum.Q, sum.step_h * row, sum.step_w * pixel, box.p0, box.q0, p, q};
  return {picture,
          sum.H,
          sum.W,
          row,
          pixel,
          box.p0 * sum.step_h + window.h0,
          box.q0 * sum.step_w + window.w0,
          (p - 1) * sum.step_h + window.h,
          (q - 1) * sum.step_w + window.w};
}

/// The input under a box: where it lies or, unless `in_place`, `channels` of it from c0 on copied
/// with their border into the scratch memory, after which `beyond` floats may be read; and that of
/// the same box of the pictures that follow.
inline Block block_under(const TapSum& sum, const Window& window, const Box& box, int64_t pictures,
                         bool in_place, int64_t c0, int64_t channels, int64_t beyond,
                         Scratch& scratch) {
  const InputRows in = input_rows(sum, window, box);
  const int64_t picture = sum.H * sum.W * sum.in_pixel;
  if (in_place) {
    const float* first = in.picture + in.h0 * in.row + in.w0 * in.pixel + c0;
    return {first, sum.W * sum.in_pixel, sum.in_pixel, in.row, in.pixel, picture};
  }
  const int64_t size = in.rows * in.columns * channels;
  float* copy = scratch.floats(pictures * size + beyond);
  for (int64_t i = 0; i < pictures; ++i)
    copy_with_border(in.picture + i * picture + c0, in.H, in.W, channels, in.row, in.pixel, in.h0,
                     in.w0, in.rows, in.columns, copy + i * size);
  const bool apart = is_in_place(sum, window);
  const int64_t step_h = apart ? 1 : sum.step_h, step_w = apart ? 1 : sum.step_w;
  return {copy, in.columns * channels, channels, step_h * in.columns * channels, step_w * channels,
          size};
}

/// What block_under() will read. Of several pictures it is all rows, as if they followed one
/// another without a remainder of the stride: enough for what only comes nearer.
inline Region region_under(const TapSum& sum, const Window& window, const Box& box,
                           int64_t pictures, int64_t c0, int64_t channels) {
  const InputRows in = input_rows(sum, window, box);
  const auto first = address_of(in.picture, in.h0 * in.row + in.w0 * in.pixel + c0);
  if (pictures == 1) return {first, in.rows, in.row, in.columns, in.pixel, channels};
  return {address_of(in.picture, c0), pictures * in.H, in.row, in.W, in.pixel, channels};
}

/// Contiguous floats of a block that hold the depth of consecutive taps.
struct Segment {
  int64_t offset, length;
};
using Segments = SmallVector<Segment, 16>;

inline Segments segments_of(const Taps& taps, const Window& window, int64_t C, const Block& block) {
  Segments segments;
  const Tap* before = nullptr;
  for (const Tap& tap : taps) {
    const bool adjacent =
        before && before->h == tap.h && before->w + 1 == tap.w && block.pixel == C;
    if (adjacent) {
      segments.back().length += C;
    } else {
      segments.push_back({(tap.h - window.h0) * block.row + (tap.w - window.w0) * block.pixel, C});
    }
    before = &tap;
  }
  return segments;
}

}  // namespace fettle
