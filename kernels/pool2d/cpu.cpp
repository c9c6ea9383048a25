// Vectors run over the channels of one pixel. Forward tasks are output rows. Backward tasks are
// bands of input rows that no other task writes: one for each output row where windows do not
// overlap downwards, else the whole picture.
#include <algorithm>

#include "kernels/parallel.h"
#include "kernels/pool2d/pool2d.h"

#ifndef FETTLE_POOL2D_ONCE
#define FETTLE_POOL2D_ONCE
namespace fettle {
namespace {

/// The pixels of a window that lie inside the picture.
struct Window {
  int64_t h0, h1, w0, w1;
  int64_t pixels() const { return (h1 - h0) * (w1 - w0); }
};

inline Window window_of(const Pool2dShape& s, int64_t p, int64_t q) {
  const int64_t h = p * s.stride_h - s.pad_top, w = q * s.stride_w - s.pad_left;
  return {std::max<int64_t>(h, 0), std::min(s.H, h + s.R), std::max<int64_t>(w, 0),
          std::min(s.W, w + s.S)};
}

/// Output rows [p0,p1) and the input rows [h0,h1) that they alone write in the backward pass.
struct Band {
  int64_t p0, p1, h0, h1;
};

int64_t bands_of(const Pool2dShape& s) {
  return s.R <= s.stride_h ? s.P : 1;
}

Band band_of(const Pool2dShape& s, int64_t i) {
  if (bands_of(s) == 1) return {0, s.P, 0, s.H};
  const auto top = [&](int64_t p) { return p * s.stride_h - s.pad_top; };
  return {i, i + 1, i == 0 ? 0 : top(i), i + 1 == s.P ? s.H : std::min(s.H, top(i + 1))};
}

}  // namespace
}  // namespace fettle
#endif  // FETTLE_POOL2D_ONCE

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/pool2d/cpu.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fettle {
namespace HWY_NAMESPACE {
namespace {

/// Calls f(channel, count) for each vector of channels.
template <class F>
HWY_INLINE void for_each_vector(int64_t C, const F& f) {
  for (int64_t c = 0; c < C; c += L) f(c, std::min(L, C - c));
}

HWY_INLINE Vec maximum(const Window& window, int64_t W, int64_t C, const float* x, int64_t count) {
  Vec best = load(x + (window.h0 * W + window.w0) * C, count);
  for (int64_t h = window.h0; h < window.h1; ++h) {
    for (int64_t w = window.w0; w < window.w1; ++w) {
      best = hn::Max(best, load(x + (h * W + w) * C, count));
    }
  }
  return best;
}

void max_forward_row(const Pool2dShape& s, int64_t p, const float* x, float* y) {
  for (int64_t q = 0; q < s.Q; ++q, y += s.C) {
    const Window window = window_of(s, p, q);
    for_each_vector(s.C, [&](int64_t c, int64_t count) {
      store(maximum(window, s.W, s.C, x + c, count), y + c, count);
    });
  }
}

void max_backward_band(const Pool2dShape& s, const Band& band, const float* x, const float* dy,
                       float* dx) {
  std::fill(dx + band.h0 * s.W * s.C, dx + band.h1 * s.W * s.C, 0.0f);
  for (int64_t p = band.p0; p < band.p1; ++p) {
    for (int64_t q = 0; q < s.Q; ++q) {
      const Window window = window_of(s, p, q);
      for_each_vector(s.C, [&](int64_t c, int64_t count) {
        const Vec best = maximum(window, s.W, s.C, x + c, count);
        Vec left = load(dy + (p * s.Q + q) * s.C + c, count);  // not yet given to a maximum
        for (int64_t h = window.h0; h < window.h1; ++h) {
          for (int64_t w = window.w0; w < window.w1; ++w) {
            const int64_t at = (h * s.W + w) * s.C + c;
            const auto here = hn::Eq(load(x + at, count), best);
            store(hn::Add(load(dx + at, count), hn::IfThenElseZero(here, left)), dx + at, count);
            left = hn::IfThenZeroElse(here, left);
          }
        }
      });
    }
  }
}

void average_forward_row(const Pool2dShape& s, int64_t p, const float* x, float* y) {
  for (int64_t q = 0; q < s.Q; ++q, y += s.C) {
    const Window window = window_of(s, p, q);
    const Vec scale = hn::Set(lanes_tag, 1.0f / static_cast<float>(window.pixels()));
    for_each_vector(s.C, [&](int64_t c, int64_t count) {
      Vec total = hn::Zero(lanes_tag);
      for (int64_t h = window.h0; h < window.h1; ++h) {
        Vec row = hn::Zero(lanes_tag);  // a sum a row: small numbers meet small numbers
        for (int64_t w = window.w0; w < window.w1; ++w) {
          row = hn::Add(row, load(x + (h * s.W + w) * s.C + c, count));
        }
        total = hn::Add(total, row);
      }
      store(hn::Mul(total, scale), y + c, count);
    });
  }
}

void average_backward_band(const Pool2dShape& s, const Band& band, const float* dy, float* dx) {
  std::fill(dx + band.h0 * s.W * s.C, dx + band.h1 * s.W * s.C, 0.0f);
  for (int64_t p = band.p0; p < band.p1; ++p) {
    for (int64_t q = 0; q < s.Q; ++q) {
      const Window window = window_of(s, p, q);
      const Vec scale = hn::Set(lanes_tag, 1.0f / static_cast<float>(window.pixels()));
      for_each_vector(s.C, [&](int64_t c, int64_t count) {
        const Vec share = hn::Mul(load(dy + (p * s.Q + q) * s.C + c, count), scale);
        for (int64_t h = window.h0; h < window.h1; ++h) {
          for (int64_t w = window.w0; w < window.w1; ++w) {
            float* at = dx + (h * s.W + w) * s.C + c;
            store(hn::Add(load(at, count), share), at, count);
          }
        }
      });
    }
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace fettle
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fettle {

HWY_EXPORT(max_forward_row);
HWY_EXPORT(max_backward_band);
HWY_EXPORT(average_forward_row);
HWY_EXPORT(average_backward_band);

namespace {

/// Calls row(p, x of the picture, y of the row) for every output row.
template <class Row>
void forward_rows(const Pool2dShape& s, const float* x, float* y, const Row& row) {
  parallel_tasks(s.N * s.P, [&](int64_t task) {
    row(s, task % s.P, x + task / s.P * s.H * s.W * s.C, y + task * s.Q * s.C);
  });
}

/// Calls band(band, picture) for every band of every picture.
template <class F>
void backward_bands(const Pool2dShape& s, const F& f) {
  const int64_t bands = bands_of(s);
  parallel_tasks(s.N * bands, [&](int64_t task) { f(band_of(s, task % bands), task / bands); });
}

}  // namespace

void max_pool2d_forward(Cpu, const Pool2dShape& s, const float* x, float* y) {
  forward_rows(s, x, y, HWY_DYNAMIC_DISPATCH(max_forward_row));
}

void max_pool2d_backward(Cpu, const Pool2dShape& s, const float* x, const float* dy, float* dx) {
  const auto backward = HWY_DYNAMIC_DISPATCH(max_backward_band);
  backward_bands(s, [&](const Band& band, int64_t n) {
    const int64_t picture = n * s.H * s.W * s.C;
    backward(s, band, x + picture, dy + n * s.P * s.Q * s.C, dx + picture);
  });
}

void average_pool2d_forward(Cpu, const Pool2dShape& s, const float* x, float* y) {
  forward_rows(s, x, y, HWY_DYNAMIC_DISPATCH(average_forward_row));
}

void average_pool2d_backward(Cpu, const Pool2dShape& s, const float* dy, float* dx) {
  const auto backward = HWY_DYNAMIC_DISPATCH(average_backward_band);
  backward_bands(s, [&](const Band& band, int64_t n) {
    backward(s, band, dy + n * s.P * s.Q * s.C, dx + n * s.H * s.W * s.C);
  });
}

}  // namespace fettle
#endif  // HWY_ONCE
