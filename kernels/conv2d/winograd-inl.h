// The inputs of Winograd's tiles of 6x6 pixels at the 36 points where they are multiplied, for
// forward and for the weights' gradient. Included once for every instruction set (see
// hwy/foreach_target.h), hence the toggling guard.
#if defined(FETTLE_CONV2D_WINOGRAD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FETTLE_CONV2D_WINOGRAD_INL_H_
#undef FETTLE_CONV2D_WINOGRAD_INL_H_
#else
#define FETTLE_CONV2D_WINOGRAD_INL_H_
#endif

#include "kernels/conv2d/cpu_winograd.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fettle {
namespace HWY_NAMESPACE {

HWY_INLINE Vec times(float factor, Vec x) {
  return hn::Mul(hn::Set(lanes_tag, factor), x);
}
HWY_INLINE Vec times_add(float factor, Vec x, Vec y) {
  return hn::MulAdd(hn::Set(lanes_tag, factor), x, y);
}

/// B^T d: the matrix's rows are (4 0 -5 0 1 0), (0 -4 -4 1 1 0), (0 4 -4 -1 1 0), (0 -2 -1 2 1 0),
/// (0 2 -1 -2 1 0), (0 4 0 -5 0 1).
HWY_INLINE void input_points(const Vec (&d)[6], Vec (&t)[6]) {
  const Vec even = times_add(-4, d[2], d[4]), odd = times_add(-4, d[1], d[3]);
  const Vec even2 = hn::Sub(d[4], d[2]), odd2 = hn::Sub(d[3], d[1]);
  t[0] = times_add(4, d[0], times_add(-5, d[2], d[4]));
  t[1] = hn::Add(even, odd);
  t[2] = hn::Sub(even, odd);
  t[3] = times_add(2, odd2, even2);
  t[4] = times_add(-2, odd2, even2);
  t[5] = times_add(4, d[1], times_add(-5, d[3], d[5]));
}

/// The first `count` of a vector of channels, all of it if Whole, at all 36 points of a tile.
template <bool Whole>
HWY_INLINE void transform_channels(const float* (&pixels)[6][6], int64_t c, int64_t count,
                                   float* to, int64_t point_stride) {
  Vec half[6][6];  // more than there are registers, so in memory: both loops stay loops
#pragma GCC unroll 1
  for (int j = 0; j < 6; ++j) {
    Vec d[6], t[6];
#pragma GCC unroll 6
    for (int i = 0; i < 6; ++i) {
      const float* from = pixels[i][j] + c;
      d[i] = Whole ? hn::LoadU(lanes_tag, from) : load(from, count);
    }
    input_points(d, t);
#pragma GCC unroll 6
    for (int i = 0; i < 6; ++i) half[i][j] = t[i];
  }
#pragma GCC unroll 1
  for (int i = 0; i < 6; ++i) {
    Vec t[6];
    input_points(half[i], t);
#pragma GCC unroll 6
    for (int j = 0; j < 6; ++j) {
      float* at = to + (i * 6 + j) * point_stride + c;
      Whole ? hn::StoreU(t[j], lanes_tag, at) : store(t[j], at, count);
    }
  }
}

/// One tile of 6x6 pixels to its 36 points; zeros [C] stands for pixels outside the picture.
inline void transform_tile(const TapSum& sum, const Window& window, const TileGrid& grid,
                           int64_t tile, const float* zeros, float* to, int64_t point_stride) {
  const int64_t n = tile / (grid.down * grid.across);
  const int64_t h0 = tile / grid.across % grid.down * 4 + window.h0;
  const int64_t w0 = tile % grid.across * 4 + window.w0;
  const float* pixels[6][6];
  for (int64_t i = 0; i < 6; ++i) {
    const int64_t h = h0 + i;
    for (int64_t j = 0; j < 6; ++j) {
      const int64_t w = w0 + j;
      const bool inside = h >= 0 && h < sum.H && w >= 0 && w < sum.W;
      pixels[i][j] = inside ? sum.in + ((n * sum.H + h) * sum.W + w) * sum.in_pixel : zeros;
    }
  }
  int64_t c = 0;
  for (; c + L <= sum.C; c += L) transform_channels<true>(pixels, c, L, to, point_stride);
  if (c < sum.C) transform_channels<false>(pixels, c, sum.C - c, to, point_stride);
}

}  // namespace HWY_NAMESPACE
}  // namespace fettle
HWY_AFTER_NAMESPACE();

#endif  // include guard
