// Depthwise convolutions of one channel in and one out for each group. A group's channel lies
// beside the next group's, so vectors of groups are read and written in place: a row of output at a
// time, a few neighbouring pixels with a block of channels. Rows of three neighbouring taps, which
// most kernels have, load each pixel once for all three. Included once for every instruction set
// (see hwy/foreach_target.h), hence the toggling guard.
#if defined(FETTLE_CONV2D_DEPTHWISE_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FETTLE_CONV2D_DEPTHWISE_ROWS_INL_H_
#undef FETTLE_CONV2D_DEPTHWISE_ROWS_INL_H_
#else
#define FETTLE_CONV2D_DEPTHWISE_ROWS_INL_H_
#endif

#include <algorithm>
#include <vector>

#include "kernels/conv2d/tap_sum.h"
#include "kernels/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fettle {
namespace HWY_NAMESPACE {
namespace {

using Offsets = SmallVector<int64_t, 49>;
// Sums of a tile of pixels. Without vectors no tile is quick, and one pixel takes the least room.
constexpr int max_pixels = HWY_TARGET == HWY_SCALAR ? 1 : 8;
constexpr int max_taps = 9;  // sums of a tile of taps: all of 3x3

/// What of a sum over groups of one channel is read in place, and how.
struct InPlace {
  InPlace(const TapSum& sum, int64_t groups) : sum(sum), groups(groups) {
    // A block of channels of the rows that the taps reach stays in the first cache.
    constexpr int64_t block_floats = 6 << 10, least_block = 64;
    const Window window = window_of(sum.taps);
    block = std::max(least_block, block_floats / (window.h * sum.W) / L * L);
    int64_t left = 0, right = 0;  // how far taps reach
    for (const Tap& tap : sum.taps) {
      offsets.push_back((tap.h * sum.W + tap.w) * sum.in_pixel);
      left = std::min(left, tap.w), right = std::max(right, tap.w);
    }
    begin = std::min(sum.Q, ceil_div(-left, sum.step_w));
    const int64_t most = sum.W - 1 - right;  // column
    end = std::clamp(most < 0 ? 0 : most / sum.step_w + 1, begin, sum.Q);
    in_threes = HWY_TARGET != HWY_SCALAR && sum.step_w <= 2 && has_rows_of_three(sum.taps) &&
                left >= -1 && (sum.Q - 1) * sum.step_w + left + 2 <= sum.W;
  }

  static bool has_rows_of_three(const Taps& taps) {
    if (taps.empty() || taps.size() % 3 != 0) return false;
    for (size_t i = 0; i < taps.size(); i += 3) {
      for (size_t j = i; j < i + 3; ++j) {
        const auto column = static_cast<int64_t>(j - i);
        if (taps[j].h != taps[i].h || taps[j].w != taps[0].w + column) return false;
      }
    }
    return true;
  }

  int64_t depth() const { return static_cast<int64_t>(offsets.size()); }
  int64_t rows() const { return sum.N * sum.P; }
  int64_t blocks() const { return ceil_div(groups, block); }
  int64_t in_step() const { return sum.step_w * sum.in_pixel; }
  Vec bias(int64_t g) const {
    return sum.bias ? load(sum.bias + g, groups - g) : hn::Zero(lanes_tag);
  }

  const TapSum& sum;
  int64_t groups;
  int64_t block;       // channels
  int64_t begin, end;  // columns of output whose taps all lie inside
  bool in_threes;      // taps are rows of three neighbours, of which at most one lies outside
  Offsets offsets;     // from a pixel to what a tap reads
};

/// A row of output and a block of channels.
struct Row {
  Row(const InPlace& in, int64_t row, int64_t block)
      : p(row % in.sum.P),
        g0(block * in.block),
        g1(std::min(in.groups, g0 + in.block)),
        at((row / in.sum.P * in.sum.H + p * in.sum.step_h) * in.sum.W * in.sum.in_pixel),
        out(row / in.sum.P * in.sum.out_picture + p * in.sum.out_row) {
    const auto inside = [&](const Tap& tap) {
      const int64_t h = p * in.sum.step_h + tap.h;
      return h >= 0 && h < in.sum.H;
    };
    const Taps& taps = in.sum.taps;
    const auto from = std::find_if(taps.begin(), taps.end(), inside);
    first = from - taps.begin();
    last = std::find_if_not(from, taps.end(), inside) - taps.begin();
  }

  int64_t p, g0, g1;    // channels [g0, g1)
  int64_t at, out;      // floats to the row of input and of output
  int64_t first, last;  // taps whose rows lie inside
};

/// Calls f(q, taps) for the columns of output of which some taps lie outside, with those inside.
template <class F>
void for_border(const InPlace& in, const Row& row, const F& f) {
  thread_local std::vector<int64_t> taps;
  const auto visit = [&](int64_t q) {
    taps.clear();
    for (int64_t t = row.first; t < row.last; ++t) {
      const int64_t w = q * in.sum.step_w + in.sum.taps[static_cast<size_t>(t)].w;
      if (w >= 0 && w < in.sum.W) taps.push_back(t);
    }
    f(q, taps);
  };
  for (int64_t q = 0; q < in.begin; ++q) visit(q);
  for (int64_t q = in.end; q < in.sum.Q; ++q) visit(q);
}

/// A vector of groups, of which `count` are left.
template <bool Whole>
HWY_INLINE Vec load_groups(const float* p, int64_t count) {
  return Whole ? hn::LoadU(lanes_tag, p) : load(p, count);
}

/// The outputs of M pixels.
template <int M, bool Whole>
HWY_INLINE void store_tile(const TapSum& sum, const Vec (&sums)[M], float* out, int64_t count) {
  const bool relu = sum.epilogue == Epilogue::relu;
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m) {
    const Vec y = relu ? hn::Max(sums[m], hn::Zero(lanes_tag)) : sums[m];
    store(y, out + m * sum.out_pixel, Whole ? L : count);
  }
}

/// `M` pixels of a vector of groups, of which `count` are left; `at` is where the first one's taps
/// begin.
template <int M, bool Whole>
HWY_INLINE void in_place_tile(const InPlace& in, const Row& row, int64_t at, const float* weights,
                              Vec bias, float* out, int64_t count) {
  const int64_t step = in.in_step();
  const int64_t* const offsets = in.offsets.begin();
  Vec sums[M];
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m) sums[m] = bias;
  for (int64_t t = row.first; t < row.last; ++t) {
    const Vec weight = hn::Load(lanes_tag, weights + t * L);
    const float* const from = in.sum.in + (at + offsets[t]);
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m)
      sums[m] = hn::MulAdd(load_groups<Whole>(from + m * step, count), weight, sums[m]);
  }
  store_tile<M, Whole>(in.sum, sums, out, count);
}

/// The same by rows of three taps, which pixels `Step` apart read. The first tap of the row's first
/// pixel and the last one of its last may be outside.
template <int M, int Step, bool Whole>
HWY_INLINE void three_taps_tile(const InPlace& in, const Row& row, int64_t q, int64_t g,
                                const float* weights, Vec bias, float* out) {
  const TapSum& sum = in.sum;
  constexpr int last = (M - 1) * Step + 2;
  const int64_t pixel = sum.in_pixel, count = row.g1 - g, column = q * Step + sum.taps[0].w;
  const bool left = column < 0, right = column + last >= sum.W;
  Vec sums[M];
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m) sums[m] = bias;
  for (int64_t t = row.first; t < row.last; t += 3) {
    Vec w[3];
#pragma GCC unroll 3
    for (int k = 0; k < 3; ++k) w[k] = hn::Load(lanes_tag, weights + (t + k) * L);
    const int64_t at = row.at + q * in.in_step() + in.offsets[static_cast<size_t>(t)] + g;
#pragma GCC unroll 17
    for (int i = 0; i <= last; ++i) {
      if ((i == 0 && left) || (i == last && right)) continue;
      const Vec x = in_register(load_groups<Whole>(sum.in + (at + i * pixel), count));
#pragma GCC unroll 3
      for (int k = 0; k < 3; ++k) {
        const int m = (i - k) / Step;
        if (i >= k && (i - k) % Step == 0 && m < M) sums[m] = hn::MulAdd(x, w[k], sums[m]);
      }
    }
  }
  store_tile<M, Whole>(sum, sums, out, count);
}

/// The sums of the pixels [begin, end) of a row by tile.operator()<M, Whole>(q, g): of whole
/// vectors of groups several pixels at a time, of what is left of them one by one, as they take
/// less room.
template <class Tile>
HWY_INLINE void for_tiles_of_row(const Row& row, int64_t begin, int64_t end, const Tile& tile) {
  const int64_t whole = row.g0 + (row.g1 - row.g0) / L * L;
  for_each_tile(end - begin, max_pixels, [&](int64_t first, int64_t pixels) {
    with_count<max_pixels>(pixels, [&]<int M>() {
      for (int64_t g = row.g0; g < whole; g += L)
        tile.template operator()<M, true>(begin + first, g);
    });
  });
  for (int64_t q = begin; whole < row.g1 && q < end; ++q)
    tile.template operator()<1, false>(q, whole);
}

/// The sums of a row, with the weights of its block of channels.
void in_place_row(const InPlace& in, const Row& row, const float* packed) {
  const TapSum& sum = in.sum;
  const auto weights_of = [&](int64_t g) { return packed + (g - row.g0) * in.depth(); };
  const auto out_of = [&](int64_t q, int64_t g) {
    return sum.out + row.out + q * sum.out_pixel + g;
  };
  if (in.in_threes) {
    return with_count<2>(sum.step_w, [&]<int Step>() {
      for_tiles_of_row(row, 0, sum.Q, [&]<int M, bool Whole>(int64_t q, int64_t g) {
        three_taps_tile<M, Step, Whole>(in, row, q, g, weights_of(g), in.bias(g), out_of(q, g));
      });
    });
  }
  for_tiles_of_row(row, in.begin, in.end, [&]<int M, bool Whole>(int64_t q, int64_t g) {
    in_place_tile<M, Whole>(in, row, row.at + q * in.in_step() + g, weights_of(g), in.bias(g),
                            out_of(q, g), row.g1 - g);
  });
  for_border(in, row, [&](int64_t q, const std::vector<int64_t>& taps) {
    for (int64_t g = row.g0; g < row.g1; g += L) {
      const int64_t at = row.at + q * in.in_step() + g;
      Vec total = in.bias(g);
      for (const int64_t t : taps) {
        const Vec pixel = load(sum.in + (at + in.offsets[static_cast<size_t>(t)]), row.g1 - g);
        total = hn::MulAdd(pixel, hn::Load(lanes_tag, weights_of(g) + t * L), total);
      }
      if (sum.epilogue == Epilogue::relu) total = hn::Max(total, hn::Zero(lanes_tag));
      store(total, out_of(q, g), row.g1 - g);
    }
  });
}

/// sums[t] += sum over `pixels` pixels of in(pixel, tap t) * dy(pixel), for M taps and a vector of
/// groups.
template <int M, bool Whole>
HWY_INLINE void in_place_taps(const InPlace& in, int64_t first, int64_t at, int64_t pixels,
                              const float* dy, int64_t count, float* sums) {
  const int64_t step = in.in_step(), dy_step = in.sum.out_pixel;
  const float* from[M];
  Vec tile[M];
#pragma GCC unroll 9
  for (int m = 0; m < M; ++m) {
    from[m] = in.sum.in + (at + in.offsets[static_cast<size_t>(first + m)]);
    tile[m] = hn::Load(lanes_tag, sums + m * L);
  }
  for (int64_t i = 0; i < pixels; ++i) {
    const Vec factor = load_groups<Whole>(dy + i * dy_step, count);
#pragma GCC unroll 9
    for (int m = 0; m < M; ++m)
      tile[m] = hn::MulAdd(load_groups<Whole>(from[m] + i * step, count), factor, tile[m]);
  }
#pragma GCC unroll 9
  for (int m = 0; m < M; ++m) hn::Store(tile[m], lanes_tag, sums + m * L);
}

/// sums[t] += sum over a row's pixels of in(pixel, tap t) * dy(pixel), for R rows of three taps
/// from `first` on and a vector of groups. What two taps see at a pixel, others have seen before.
template <int R, int Step, bool Whole>
HWY_INLINE void three_taps_weight(const InPlace& in, const Row& row, int64_t first, int64_t g,
                                  const float* dy, float* sums) {
  const TapSum& sum = in.sum;
  const int64_t pixel = sum.in_pixel, count = row.g1 - g, column = sum.taps[0].w;
  const auto load_at = [&](const float* p) { return load_groups<Whole>(p, count); };
  constexpr int kept = 3 - Step;  // columns that the next pixel reads again
  const float* from[R];           // the first column that was not kept
  Vec seen[R][kept], tile[R][3];
#pragma GCC unroll 3
  for (int r = 0; r < R; ++r) {
    const int64_t at = row.at + in.offsets[static_cast<size_t>(first + 3 * r)] + g;
#pragma GCC unroll 2
    for (int k = 0; k < kept; ++k)
      seen[r][k] = k == 0 && column < 0 ? hn::Zero(lanes_tag) : load_at(sum.in + (at + k * pixel));
    from[r] = sum.in + (at + kept * pixel);
#pragma GCC unroll 3
    for (int t = 0; t < 3; ++t) tile[r][t] = hn::Load(lanes_tag, sums + (3 * r + t) * L);
  }
  const auto step = [&](int64_t q, const auto& load_last) {
    const Vec gradient = in_register(load_at(dy + q * sum.out_pixel));
#pragma GCC unroll 3
    for (int r = 0; r < R; ++r) {
      Vec columns[3];
#pragma GCC unroll 3
      for (int k = 0; k < 3; ++k) {
        const float* const p = from[r] + (q * Step + k - kept) * pixel;
        columns[k] = k < kept ? seen[r][k % kept] : in_register(k < 2 ? load_at(p) : load_last(p));
        tile[r][k] = hn::MulAdd(columns[k], gradient, tile[r][k]);
      }
#pragma GCC unroll 2
      for (int k = 0; k < kept; ++k) seen[r][k] = columns[k + Step];
    }
  };
  // Pixels whose last tap is inside.
  const int64_t inside = std::min(sum.Q, (sum.W - column - 3 + Step) / Step);
  for (int64_t q = 0; q < inside; ++q) step(q, load_at);
  if (inside < sum.Q) step(inside, [](const float*) { return hn::Zero(lanes_tag); });
#pragma GCC unroll 3
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 3
    for (int t = 0; t < 3; ++t) hn::Store(tile[r][t], lanes_tag, sums + (3 * r + t) * L);
  }
}

/// The taps of a row in tiles of up to `Most` units of `Unit` taps, by tile.operator()<M, Whole>(g,
/// first tap, sums): of a whole vector of groups several units at a time, of what is left one by
/// one.
template <int Unit, int Most, class Tile>
HWY_INLINE void for_taps_of_row(const InPlace& in, const Row& row, float* sums, const Tile& tile) {
  for (int64_t g = row.g0; g < row.g1; g += L) {
    for_each_tile((row.last - row.first) / Unit, Most, [&](int64_t unit, int64_t units) {
      const int64_t first = row.first + Unit * unit;
      float* const to = sums + g * in.depth() + first * L;
      with_count<Most>(units, [&]<int M>() {
        if (g + L <= row.g1) {
          tile.template operator()<M, true>(g, first, to);
        } else {
          for (int m = 0; m < M; ++m)
            tile.template operator()<1, false>(g, first + Unit * m, to + Unit * m * L);
        }
      });
    });
  }
}

/// Adds a row's part of the weights' gradient to sums [vector of groups][tap][L].
void in_place_row_weight(const InPlace& in, const Row& row, const float* dy, float* sums) {
  const TapSum& sum = in.sum;
  if (in.in_threes) {
    return with_count<2>(sum.step_w, [&]<int Step>() {
      for_taps_of_row<3, 3>(
          in, row, sums, [&]<int R, bool Whole>(int64_t g, int64_t first, float* to) {
            three_taps_weight<R, Step, Whole>(in, row, first, g, dy + row.out + g, to);
          });
    });
  }
  const int64_t at = row.at + in.begin * in.in_step(), pixels = in.end - in.begin;
  const float* const inner = dy + row.out + in.begin * sum.out_pixel;
  if (pixels > 0) {
    for_taps_of_row<1, max_taps>(
        in, row, sums, [&]<int M, bool Whole>(int64_t g, int64_t first, float* to) {
          in_place_taps<M, Whole>(in, first, at + g, pixels, inner + g, row.g1 - g, to);
        });
  }
  for_border(in, row, [&](int64_t q, const std::vector<int64_t>& taps) {
    for (int64_t g = row.g0; g < row.g1; g += L) {
      const Vec gradient = load(dy + row.out + q * sum.out_pixel + g, row.g1 - g);
      const int64_t at_border = row.at + q * in.in_step() + g;
      for (const int64_t t : taps) {
        float* const to = sums + g * in.depth() + t * L;
        const Vec pixel =
            load(sum.in + (at_border + in.offsets[static_cast<size_t>(t)]), row.g1 - g);
        hn::Store(hn::MulAdd(pixel, gradient, hn::Load(lanes_tag, to)), lanes_tag, to);
      }
    }
  });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace fettle
HWY_AFTER_NAMESPACE();

#endif  // include guard
