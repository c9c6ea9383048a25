// Backward input of a strided convolution in phases. Along an axis, input pixels that lie a stride
// apart see the same taps, and others than their neighbours do: with stride 2 and three taps, every
// second pixel sees the two outer ones and the rest the middle one. What a phase sees is a
// convolution of dy with stride one, by a filter of its taps alone. All phases together multiply
// once for each pixel and tap that meet; with stride one there is one phase.
#pragma once

#include <algorithm>
#include <numeric>

#include "kernels/conv2d/conv2d.h"
#include "kernels/divide.h"
#include "kernels/divider.h"

namespace fettle {

inline constexpr int max_phases = 8;  ///< along an axis

/// Pixel i of an axis' phase lies at first + i * stride. Through tap `tap + t * tap_step` of the
/// filter, 0 <= t < taps, it sees output i + offset - t * dilation, if there is one.
struct AxisPhase {
  int first = 0, taps = 0, tap = 0, offset = 0;
  Divider by_taps;
};

/// An axis of the input; tap_step and dilation as above. `pixels` and `taps` are the most that one
/// of its `stride` phases has.
struct PhasedAxis {
  int extent, stride, pixels, taps, tap_step, dilation;
  int first_output;  ///< the least that the first pixel of a phase sees, beyond dy too
  Divider by_pixels;
  AxisPhase phase[max_phases];

  /// How far apart what a phase's pixels see begins and ends, over all phases.
  int reach() const {
    int last = first_output;
    for (const AxisPhase& p : phase) last = p.taps ? std::max(last, p.offset) : last;
    return last - first_output;
  }

  /// 1 <= stride <= max_phases.
  PhasedAxis(int64_t in, int64_t kernel, int64_t stride_, int64_t dilation_, int64_t pad)
      : extent(static_cast<int>(in)),
        stride(static_cast<int>(stride_)),
        pixels(static_cast<int>(ceil_div(in, stride_))),
        taps(0),
        tap_step(static_cast<int>(stride_ / std::gcd(stride_, dilation_))),
        dilation(static_cast<int>(dilation_ / std::gcd(stride_, dilation_))),
        first_output(static_cast<int>(in + pad)),
        by_pixels(pixels) {
    for (int64_t i = 0; i < std::min<int64_t>(stride_, max_phases); ++i) {
      AxisPhase& p = phase[i];
      p.first = static_cast<int>(((i - pad) % stride_ + stride_) % stride_);
      while (p.tap < kernel && p.tap * dilation_ % stride_ != i) ++p.tap;
      if (p.tap >= kernel) continue;
      p.taps = static_cast<int>((kernel - 1 - p.tap) / tap_step + 1);
      p.offset = static_cast<int>((p.first + pad - p.tap * dilation_) / stride_);
      p.by_taps = Divider(p.taps);
      taps = std::max(taps, p.taps);
      first_output = std::min(first_output, p.offset - (p.taps - 1) * dilation);
    }
  }
};

/// Both axes. Phase i * stride_w + j is phase i of the rows and j of the columns.
struct InputPhases {
  PhasedAxis h, w;
  Divider by_stride_w;

  explicit InputPhases(const Conv2dShape& s)
      : h(s.H, s.R, s.stride_h, s.dilation_h, s.pad_top),
        w(s.W, s.S, s.stride_w, s.dilation_w, s.pad_left),
        by_stride_w(s.stride_w) {}
  int64_t count() const { return int64_t{h.stride} * w.stride; }

  FETTLE_HOST_DEVICE const AxisPhase& rows(int phase) const {
    return h.phase[by_stride_w.quotient(phase)];
  }
  FETTLE_HOST_DEVICE const AxisPhase& columns(int phase) const {
    return w.phase[by_stride_w.remainder(phase, by_stride_w.quotient(phase))];
  }
  FETTLE_HOST_DEVICE int taps(int phase) const { return rows(phase).taps * columns(phase).taps; }
  /// Where pixel (n, i, j) of a phase lies among all pixels, or -1 where it has none.
  FETTLE_HOST_DEVICE int place(int n, int i, int j, int phase) const {
    const int row = rows(phase).first + i * h.stride, column = columns(phase).first + j * w.stride;
    return row < h.extent && column < w.extent ? (n * h.extent + row) * w.extent + column : -1;
  }
};

}  // namespace fettle
