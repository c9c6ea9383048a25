// Weights in the order in which the kernels' vectors read them. Included once for every instruction
// set (see hwy/foreach_target.h), hence the toggling guard.
#if defined(FETTLE_CONV2D_PACK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FETTLE_CONV2D_PACK_INL_H_
#undef FETTLE_CONV2D_PACK_INL_H_
#else
#define FETTLE_CONV2D_PACK_INL_H_
#endif

#include <algorithm>

#include "kernels/conv2d/tap_sum.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fettle {
namespace HWY_NAMESPACE {

/// Four rows of 4 floats, `row` floats apart, become four columns, `column` floats apart.
HWY_INLINE void transpose_square(const float* from, int64_t row, float* to, int64_t column) {
#if HWY_TARGET == HWY_SCALAR
  for (int64_t i = 0; i < 4; ++i)
    for (int64_t j = 0; j < 4; ++j) to[j * column + i] = from[i * row + j];
#else
  const hn::FixedTag<float, 4> four;
  const hn::FixedTag<double, 2> pairs;
  const auto a = hn::LoadU(four, from), b = hn::LoadU(four, from + row);
  const auto c = hn::LoadU(four, from + 2 * row), d = hn::LoadU(four, from + 3 * row);
  const auto store_two = [&](auto low, auto high, float* at) {
    const auto ab = hn::BitCast(pairs, low), cd = hn::BitCast(pairs, high);
    hn::StoreU(hn::BitCast(four, hn::InterleaveLower(pairs, ab, cd)), four, at);
    hn::StoreU(hn::BitCast(four, hn::InterleaveUpper(pairs, ab, cd)), four, at + column);
  };
  store_two(hn::InterleaveLower(four, a, b), hn::InterleaveLower(four, c, d), to);
  store_two(hn::InterleaveUpper(four, a, b), hn::InterleaveUpper(four, c, d), to + 2 * column);
#endif
}

/// to[c*width + k] = from[k*column + c] for C channels and `columns` columns. The last squares
/// overlap those before them. Runs of 64 channels keep both sides in the first cache.
HWY_NOINLINE inline void transpose(const float* from, int64_t column, int64_t C, int64_t columns,
                                   int64_t width, float* to) {
  constexpr int64_t run = 64;
  if (C < 4 || columns < 4) {
    for (int64_t c = 0; c < C; ++c)
      for (int64_t k = 0; k < columns; ++k) to[c * width + k] = from[k * column + c];
    return;
  }
  for (int64_t c0 = 0; c0 < C; c0 += run) {
    for (int64_t i = 0; i < columns; i += 4) {
      const int64_t k = std::min(i, columns - 4);
      for (int64_t j = c0; j < std::min(C, c0 + run); j += 4) {
        const int64_t c = std::min(j, C - 4);
        transpose_square(from + k * column + c, column, to + c * width + k, width);
      }
    }
  }
}

/// One tap's weights of `channels` channels from c0 on and `width` columns from `first` on, as
/// [channel][column], with zeros beyond the last column.
inline void pack_tap(const TapSum& sum, const Tap& tap, int64_t c0, int64_t channels, int64_t first,
                     int64_t width, float* to) {
  const int64_t valid = std::min(width, sum.K - first);
  const float* from = sum.weights + tap.weight + c0 * sum.depth + first * sum.column;
  if (sum.column == 1) {
    for (int64_t c = 0; c < channels; ++c) std::copy_n(from + c * sum.depth, valid, to + c * width);
  } else {
    transpose(from, sum.column, channels, valid, width, to);
  }
  if (valid < width)
    for (int64_t c = 0; c < channels; ++c) std::fill_n(to + c * width + valid, width - valid, 0.0f);
}

}  // namespace HWY_NAMESPACE
}  // namespace fettle
HWY_AFTER_NAMESPACE();

#endif  // include guard
