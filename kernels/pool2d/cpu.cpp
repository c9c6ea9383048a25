// Vectors run over the channels of one pixel. Forward tasks are output rows. Backward tasks are
// bands of input rows that no other task writes: one for each output row where windows do not
// overlap downwards, else the whole picture.
#include <algorithm>
#include <type_traits>

#include "kernels/parallel.h"
#include "kernels/pool2d/pool2d.h"
#include "kernels/prefetch.h"

#ifndef FETTLE_POOL2D_ONCE
#define FETTLE_POOL2D_ONCE
namespace fettle {
namespace {

/// The pixels of a window that lie inside the picture.
struct Window {
  int64_t h0, h1, w0, w1;
  int64_t first_place;  ///< of (h0, w0), as r * S + s
  int64_t pixels() const { return (h1 - h0) * (w1 - w0); }
};

inline Window window_of(const Pool2dShape& s, int64_t p, int64_t q) {
  const int64_t h = p * s.stride_h - s.pad_top, w = q * s.stride_w - s.pad_left;
  const int64_t h0 = std::max<int64_t>(h, 0), w0 = std::max<int64_t>(w, 0);
  return {h0, std::min(s.H, h + s.R), w0, std::min(s.W, w + s.S), (h0 - h) * s.S + w0 - w};
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

/// Calls f(channel, count, vectors) for groups of up to four vectors of channels, which share the
/// walk over a window.
template <class F>
HWY_INLINE void for_each_group(int64_t C, const F& f) {
  int64_t c = 0;
  for (; c + 4 * L <= C; c += 4 * L) f(c, 4 * L, std::integral_constant<int, 4>{});
  for (; c < C; c += L) f(c, std::min(L, C - c), std::integral_constant<int, 1>{});
}

const hn::RebindToSigned<decltype(lanes_tag)> place_tag;
using Places = hn::Vec<decltype(place_tag)>;
const hn::Rebind<uint8_t, decltype(lanes_tag)> byte_tag;

/// The places of the maxima of `count` channels, in memory as bytes or as they are.
HWY_INLINE void store_places(Places places, uint8_t* to, int64_t count) {
  const auto bytes = hn::DemoteTo(byte_tag, places);
  if (HWY_LIKELY(count >= L)) return hn::StoreU(bytes, byte_tag, to);
  uint8_t all[L];
  hn::StoreU(bytes, byte_tag, all);
  std::copy_n(all, count, to);
}
HWY_INLINE void store_places(Places places, int32_t* to, int64_t count) {
  store(hn::BitCast(lanes_tag, places), reinterpret_cast<float*>(to), count);
}
HWY_INLINE Places load_places(const uint8_t* from, int64_t count) {
  if (HWY_LIKELY(count >= L)) return hn::PromoteTo(place_tag, hn::LoadU(byte_tag, from));
  uint8_t all[L] = {};
  std::copy_n(from, count, all);
  return hn::PromoteTo(place_tag, hn::LoadU(byte_tag, all));
}
HWY_INLINE Places load_places(const int32_t* from, int64_t count) {
  return hn::BitCast(place_tag, load(reinterpret_cast<const float*>(from), count));
}

/// Of a picture whose rows are walked side by side, which processors' own prefetching loses sight
/// of: fetches what the same row will be read at soon.
HWY_INLINE Vec load_ahead(const float* p, int64_t count) {
  prefetch(p, 512);
  return load(p, count);
}

/// Calls f(pixel, place) for each pixel of the window, row by row.
template <class F>
HWY_INLINE void for_each_pixel(const Pool2dShape& s, const Window& window, const F& f) {
  const int64_t width = window.w1 - window.w0;
  int64_t pixel = window.h0 * s.W + window.w0, place = window.first_place;
  for (int64_t h = window.h0; h < window.h1; ++h, pixel += s.W, place += s.S)
    for (int64_t w = 0; w < width; ++w) f(pixel + w, static_cast<int32_t>(place + w));
}

void max_forward_row(const Pool2dShape& s, int64_t p, const float* x, float* y) {
  for (int64_t q = 0; q < s.Q; ++q, y += s.C) {
    const Window window = window_of(s, p, q);
    for_each_group(s.C, [&](int64_t c, int64_t count, auto vectors) {
      Vec best[vectors];
      const float* const first = x + (window.h0 * s.W + window.w0) * s.C + c;
      for (int v = 0; v < vectors; ++v) best[v] = load(first + v * L, count);
      for_each_pixel(s, window, [&](int64_t pixel, int32_t) {
        for (int v = 0; v < vectors; ++v)
          best[v] = hn::Max(best[v], load_ahead(x + pixel * s.C + c + v * L, count));
      });
      for (int v = 0; v < vectors; ++v) store(best[v], y + c + v * L, count);
    });
  }
}

/// The same with the places of the maxima.
template <class Place>
void max_places_row(const Pool2dShape& s, int64_t p, const float* x, float* y, Place* places) {
  for (int64_t q = 0; q < s.Q; ++q, y += s.C, places += s.C) {
    const Window window = window_of(s, p, q);
    for_each_group(s.C, [&](int64_t c, int64_t count, auto vectors) {
      Vec best[vectors];
      Places where[vectors];
      const float* const first = x + (window.h0 * s.W + window.w0) * s.C + c;
      for (int v = 0; v < vectors; ++v) {
        best[v] = load(first + v * L, count);
        where[v] = hn::Set(place_tag, static_cast<int32_t>(window.first_place));
      }
      for_each_pixel(s, window, [&](int64_t pixel, int32_t place) {
        const Places here = hn::Set(place_tag, place);
        for (int v = 0; v < vectors; ++v) {
          const Vec value = load_ahead(x + pixel * s.C + c + v * L, count);
          const auto better = hn::Gt(value, best[v]);
          best[v] = hn::IfThenElse(better, value, best[v]);
          where[v] = hn::IfThenElse(hn::RebindMask(place_tag, better), here, where[v]);
        }
      });
      for (int v = 0; v < vectors; ++v) {
        store(best[v], y + c + v * L, count);
        store_places(where[v], places + c + v * L, count);
      }
    });
  }
}

template <class Place>
void max_backward_band(const Pool2dShape& s, const Band& band, const Place* places, const float* dy,
                       float* dx, bool adds) {
  const bool alone = side_by_side(s);
  if (!alone && !adds) std::fill(dx + band.h0 * s.W * s.C, dx + band.h1 * s.W * s.C, 0.0f);
  for (int64_t p = band.p0; p < band.p1; ++p) {
    for (int64_t q = 0; q < s.Q; ++q) {
      const Window window = window_of(s, p, q);
      for_each_group(s.C, [&](int64_t c, int64_t count, auto vectors) {
        const int64_t output = (p * s.Q + q) * s.C + c;
        Vec gradient[vectors];
        Places where[vectors];
        for (int v = 0; v < vectors; ++v) {
          gradient[v] = load(dy + output + v * L, count);
          where[v] = load_places(places + output + v * L, count);
        }
        for_each_pixel(s, window, [&](int64_t pixel, int32_t place) {
          const Places here = hn::Set(place_tag, place);
          for (int v = 0; v < vectors; ++v) {
            float* const to = dx + pixel * s.C + c + v * L;
            if (alone) prefetch(to, 512);
            const auto chosen = hn::RebindMask(lanes_tag, hn::Eq(where[v], here));
            const Vec share = hn::IfThenElseZero(chosen, gradient[v]);
            store(alone && !adds ? share : hn::Add(load(to, count), share), to, count);
          }
        });
      });
    }
  }
}

void max_byte_places_row(const Pool2dShape& s, int64_t p, const float* x, float* y,
                         uint8_t* places) {
  max_places_row(s, p, x, y, places);
}
void max_wide_places_row(const Pool2dShape& s, int64_t p, const float* x, float* y,
                         uint8_t* places) {
  max_places_row(s, p, x, y, reinterpret_cast<int32_t*>(places));
}
void max_byte_backward_band(const Pool2dShape& s, const Band& band, const uint8_t* places,
                            const float* dy, float* dx, bool adds) {
  max_backward_band(s, band, places, dy, dx, adds);
}
void max_wide_backward_band(const Pool2dShape& s, const Band& band, const uint8_t* places,
                            const float* dy, float* dx, bool adds) {
  max_backward_band(s, band, reinterpret_cast<const int32_t*>(places), dy, dx, adds);
}

void average_forward_row(const Pool2dShape& s, int64_t p, const float* x, float* y) {
  for (int64_t q = 0; q < s.Q; ++q, y += s.C) {
    const Window window = window_of(s, p, q);
    const Vec scale = hn::Set(lanes_tag, 1.0f / static_cast<float>(window.pixels()));
    for_each_group(s.C, [&](int64_t c, int64_t count, auto vectors) {
      Vec total[vectors];
      for (int v = 0; v < vectors; ++v) total[v] = hn::Zero(lanes_tag);
      for (int64_t h = window.h0; h < window.h1; ++h) {
        Vec row[vectors];  // a sum a row: small numbers meet small numbers
        for (int v = 0; v < vectors; ++v) row[v] = hn::Zero(lanes_tag);
        for (int64_t w = window.w0; w < window.w1; ++w) {
          for (int v = 0; v < vectors; ++v)
            row[v] = hn::Add(row[v], load(x + (h * s.W + w) * s.C + c + v * L, count));
        }
        for (int v = 0; v < vectors; ++v) total[v] = hn::Add(total[v], row[v]);
      }
      for (int v = 0; v < vectors; ++v) store(hn::Mul(total[v], scale), y + c + v * L, count);
    });
  }
}

void average_backward_band(const Pool2dShape& s, const Band& band, const float* dy, float* dx) {
  const bool alone = side_by_side(s);
  if (!alone) std::fill(dx + band.h0 * s.W * s.C, dx + band.h1 * s.W * s.C, 0.0f);
  for (int64_t p = band.p0; p < band.p1; ++p) {
    for (int64_t q = 0; q < s.Q; ++q) {
      const Window window = window_of(s, p, q);
      const Vec scale = hn::Set(lanes_tag, 1.0f / static_cast<float>(window.pixels()));
      for_each_group(s.C, [&](int64_t c, int64_t count, auto vectors) {
        Vec share[vectors];
        for (int v = 0; v < vectors; ++v)
          share[v] = hn::Mul(load(dy + (p * s.Q + q) * s.C + c + v * L, count), scale);
        for_each_pixel(s, window, [&](int64_t pixel, int32_t) {
          for (int v = 0; v < vectors; ++v) {
            float* const to = dx + pixel * s.C + c + v * L;
            store(alone ? share[v] : hn::Add(load(to, count), share[v]), to, count);
          }
        });
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
HWY_EXPORT(max_byte_places_row);
HWY_EXPORT(max_wide_places_row);
HWY_EXPORT(max_byte_backward_band);
HWY_EXPORT(max_wide_backward_band);
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

void max_pool2d_forward(Cpu, const Pool2dShape& s, const float* x, float* y, uint8_t* places) {
  const int64_t bytes = bytes_a_place(s);
  const auto row = bytes == 1 ? HWY_DYNAMIC_DISPATCH(max_byte_places_row)
                              : HWY_DYNAMIC_DISPATCH(max_wide_places_row);
  parallel_tasks(s.N * s.P, [&](int64_t task) {
    const int64_t to = task * s.Q * s.C;
    row(s, task % s.P, x + task / s.P * s.H * s.W * s.C, y + to, places + bytes * to);
  });
}

void max_pool2d_backward(Cpu, const Pool2dShape& s, const uint8_t* places, const float* dy,
                         float* dx, bool adds) {
  const int64_t bytes = bytes_a_place(s);
  const auto backward = bytes == 1 ? HWY_DYNAMIC_DISPATCH(max_byte_backward_band)
                                   : HWY_DYNAMIC_DISPATCH(max_wide_backward_band);
  backward_bands(s, [&](const Band& band, int64_t n) {
    const int64_t from = n * s.P * s.Q * s.C;
    backward(s, band, places + bytes * from, dy + from, dx + n * s.H * s.W * s.C, adds);
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
