// A matrix product for each group would be a few numbers wide, so vectors run across the groups:
// each lane is a group. Forward, a group has one channel in and K/C out, backward it is the other
// way round; one kernel takes any number of both.
//
// With one channel in and one out a group's channel lies beside the next group's, and all is read
// and written in place, a few neighbouring pixels with all their channels at a time. Rows of three
// neighbouring taps load each pixel once for all of them. Otherwise the
// channels of a group lie between: for each box of output pixels the input that it needs is copied
// once into planes, one vector a pixel, with its zero border and zeros in the lanes past the last
// group, so that the loops over them have no special cases. The cuts and the order of every sum
// depend on the shape alone.
#include "kernels/conv2d/cpu_depthwise.h"

#include <algorithm>
#include <vector>

#include "kernels/conv2d/tap_sum.h"
#include "kernels/divide.h"
#include "kernels/parallel.h"
#include "kernels/scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/conv2d/cpu_depthwise.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "kernels/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fettle {
namespace HWY_NAMESPACE {
namespace {

using Offsets = SmallVector<int64_t, 49>;
// Sums of a tile of pixels. Without vectors no tile is quick, and one pixel takes the least room.
constexpr int max_pixels = HWY_TARGET == HWY_SCALAR ? 1 : 8;
constexpr int max_taps = 9;  // sums of a tile of taps: all of 3x3

/// Lane i is p[i*step] for i < count, else 0.
HWY_NOINLINE Vec load_apart(const float* p, int64_t step, int64_t count) {
  alignas(64) float lanes[L] = {};
  for (int64_t i = 0; i < std::min(L, count); ++i) lanes[i] = p[i * step];
  return hn::Load(lanes_tag, lanes);
}
HWY_INLINE Vec load_strided(const float* p, int64_t step, int64_t count) {
  return step == 1 ? load(p, count) : load_apart(p, step, count);
}

/// p[i*step] = lane i for i < count.
HWY_NOINLINE void store_apart(Vec v, float* p, int64_t step, int64_t count) {
  alignas(64) float lanes[L];
  hn::Store(v, lanes_tag, lanes);
  for (int64_t i = 0; i < std::min(L, count); ++i) p[i * step] = lanes[i];
}
HWY_INLINE void store_strided(Vec v, float* p, int64_t step, int64_t count) {
  step == 1 ? store(v, p, count) : store_apart(v, p, step, count);
}

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

/// `M` pixels of a vector of groups, of which `count` are left; `at` is where the first one's taps
/// begin.
template <int M, bool Whole>
HWY_INLINE void in_place_tile(const InPlace& in, const Row& row, int64_t at, const float* weights,
                              Vec bias, float* out, int64_t count) {
  const int64_t step = in.in_step(), out_step = in.sum.out_pixel;
  const int64_t* const offsets = in.offsets.begin();
  Vec sums[M];
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m) sums[m] = bias;
  for (int64_t t = row.first; t < row.last; ++t) {
    const Vec weight = hn::Load(lanes_tag, weights + t * L);
    const float* const from = in.sum.in + (at + offsets[t]);
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) {
      const float* pixel = from + m * step;
      sums[m] =
          hn::MulAdd(Whole ? hn::LoadU(lanes_tag, pixel) : load(pixel, count), weight, sums[m]);
    }
  }
  const bool relu = in.sum.epilogue == Epilogue::relu;
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m) {
    const Vec y = relu ? hn::Max(sums[m], hn::Zero(lanes_tag)) : sums[m];
    store(y, out + m * out_step, Whole ? L : count);
  }
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
      const float* const from = sum.in + (at + i * pixel);
      const Vec x = in_register(Whole ? hn::LoadU(lanes_tag, from) : load(from, count));
#pragma GCC unroll 3
      for (int k = 0; k < 3; ++k) {
        const int m = (i - k) / Step;
        if (i >= k && (i - k) % Step == 0 && m < M) sums[m] = hn::MulAdd(x, w[k], sums[m]);
      }
    }
  }
  const bool relu = sum.epilogue == Epilogue::relu;
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m) {
    const Vec y = relu ? hn::Max(sums[m], hn::Zero(lanes_tag)) : sums[m];
    store(y, out + m * sum.out_pixel, Whole ? L : count);
  }
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
    const Vec factor =
        Whole ? hn::LoadU(lanes_tag, dy + i * dy_step) : load(dy + i * dy_step, count);
#pragma GCC unroll 9
    for (int m = 0; m < M; ++m) {
      const float* pixel = from[m] + i * step;
      tile[m] =
          hn::MulAdd(Whole ? hn::LoadU(lanes_tag, pixel) : load(pixel, count), factor, tile[m]);
    }
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
  const auto load_at = [&](const float* p) {
    return Whole ? hn::LoadU(lanes_tag, p) : load(p, count);
  };
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

/// Adds a row's part of the weights' gradient to sums [vector of groups][tap][L].
template <int Step>
void three_taps_row_weight(const InPlace& in, const Row& row, const float* dy, float* sums) {
  for (int64_t g = row.g0; g < row.g1; g += L) {
    for_each_tile((row.last - row.first) / 3, 3, [&](int64_t r, int64_t rows) {
      const int64_t first = row.first + 3 * r;
      const float* const gradients = dy + row.out + g;
      float* const to = sums + g * in.depth() + first * L;
      with_count<3>(rows, [&]<int R>() {
        if (g + L <= row.g1) {
          three_taps_weight<R, Step, true>(in, row, first, g, gradients, to);
        } else {
          for (int i = 0; i < R; ++i)
            three_taps_weight<1, Step, false>(in, row, first + 3 * i, g, gradients, to + 3 * i * L);
        }
      });
    });
  }
}

/// Adds a row's part of the weights' gradient to sums [vector of groups][tap][L].
void in_place_row_weight(const InPlace& in, const Row& row, const float* dy, float* sums) {
  if (in.in_threes) {
    return with_count<2>(in.sum.step_w,
                         [&]<int Step>() { three_taps_row_weight<Step>(in, row, dy, sums); });
  }
  const TapSum& sum = in.sum;
  const int64_t at = row.at + in.begin * in.in_step(), pixels = in.end - in.begin;
  const float* const inner = dy + row.out + in.begin * sum.out_pixel;
  for (int64_t g = row.g0; pixels > 0 && g < row.g1; g += L) {
    for_each_tile(row.last - row.first, max_taps, [&](int64_t tap, int64_t terms) {
      const int64_t first = row.first + tap, count = row.g1 - g;
      float* const to = sums + g * in.depth() + first * L;
      with_count<max_taps>(terms, [&]<int M>() {
        if (count >= L) {
          in_place_taps<M, true>(in, first, at + g, pixels, inner + g, count, to);
        } else {
          for (int64_t m = 0; m < M; ++m)
            in_place_taps<1, false>(in, first + m, at + g, pixels, inner + g, count, to + m * L);
        }
      });
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

/// The planes of a box, [channel of a group][vector of groups][row][column][L].
struct Planes {
  Planes(const TapSum& sum, int64_t groups)
      : groups(groups),
        vectors(ceil_div(groups, L)),
        window(window_of(sum.taps)),
        boxes(cut(sum.N, sum.P, sum.Q, sum.C * vectors * L, sum.step_h, sum.step_w, window)),
        row((boxes.columns - 1) * sum.step_w * L + window.w * L),
        plane(((boxes.rows - 1) * sum.step_h + window.h) * row) {
    for (const Tap& tap : sum.taps) {
      for (int64_t c = 0; c < sum.C; ++c) {
        offsets.push_back(c * vectors * plane + (tap.h - window.h0) * row +
                          (tap.w - window.w0) * L);
      }
    }
  }
  int64_t depth() const { return static_cast<int64_t>(offsets.size()); }

  int64_t groups, vectors;
  Window window;
  Boxes boxes;
  int64_t row, plane;  // floats from a row and from a plane to the next
  Offsets offsets;     // from a pixel to the terms of its sum: [tap][channel of a group]
};

/// Fills the planes of a box, in memory that the thread's next call takes over.
const float* copy_planes(const TapSum& sum, const Planes& planes, const Box& box) {
  thread_local Scratch scratch;
  float* const first = scratch.floats(sum.C * planes.vectors * planes.plane);
  const Window& window = planes.window;
  const int64_t rows = (box.p1 - box.p0 - 1) * sum.step_h + window.h;
  const int64_t columns = (box.q1 - box.q0 - 1) * sum.step_w + window.w;
  const int64_t h0 = box.p0 * sum.step_h + window.h0, w0 = box.q0 * sum.step_w + window.w0;
  const int64_t left = std::clamp<int64_t>(-w0, 0, columns);
  const int64_t right = std::clamp<int64_t>(sum.W - w0, left, columns);
  for (int64_t h = h0; h < h0 + rows; ++h) {
    const bool outside = h < 0 || h >= sum.H || left == right;
    for (int64_t c = 0; c < sum.C; ++c) {
      for (int64_t v = 0; v < planes.vectors; ++v) {
        float* to = first + (c * planes.vectors + v) * planes.plane + (h - h0) * planes.row;
        if (outside) {
          std::fill_n(to, columns * L, 0.0f);
          continue;
        }
        std::fill_n(to, left * L, 0.0f);
        const float* from =
            sum.in + ((box.n * sum.H + h) * sum.W + w0 + left) * sum.in_pixel + v * L * sum.C + c;
        for (int64_t w = left; w < right; ++w, from += sum.in_pixel) {
          const Vec pixel = load_strided(from, sum.C, planes.groups - v * L);
          hn::Store(pixel, lanes_tag, to + w * L);
        }
        std::fill_n(to + right * L, (columns - right) * L, 0.0f);
      }
    }
  }
  return first;
}

/// Weights of groups [g0, g1) as the tiles read them: [vector of groups][output of a group][depth]
/// [L].
void pack_weights(const TapSum& sum, int64_t g0, int64_t g1, int64_t group_weights, float* packed) {
  for (int64_t g = g0; g < g1; g += L) {
    const int64_t count = std::min(L, g1 - g);
    for (int64_t k = 0; k < sum.K; ++k) {
      for (const Tap& tap : sum.taps) {
        for (int64_t c = 0; c < sum.C; ++c, packed += L) {
          const float* from =
              sum.weights + g * group_weights + tap.weight + c * sum.depth + k * sum.column;
          for (int64_t i = 0; i < count; ++i) packed[i] = from[i * group_weights];
          std::fill(packed + count, packed + L, 0.0f);
        }
      }
    }
  }
}

/// One output of each group in a vector, of M pixels.
template <int M>
HWY_INLINE void pixel_tile(const TapSum& sum, const Offsets& offsets, const float* in,
                           const float* weights, Vec bias, float* out, int64_t count) {
  const int64_t step = sum.step_w * L;
  Vec sums[M];
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m) sums[m] = bias;
  for (const int64_t offset : offsets) {
    const Vec weight = hn::Load(lanes_tag, weights);
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) {
      sums[m] = hn::MulAdd(hn::Load(lanes_tag, in + offset + m * step), weight, sums[m]);
    }
    weights += L;
  }
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m) {
    if (sum.epilogue == Epilogue::relu) sums[m] = hn::Max(sums[m], hn::Zero(lanes_tag));
    store_strided(sums[m], out + m * sum.out_pixel, sum.K, count);
  }
}

constexpr int64_t least_pixels = 48;  // for which it pays to bring weights into another order

/// Whether each group has one channel in and one out, so that vectors lie ready in memory.
bool is_in_place(const TapSum& sum) {
  return sum.C == 1 && sum.K == 1;
}

/// `sum` is that of the first group. The others' channels and weights follow its own,
/// `group_weights` floats a group.
void sum_across_groups(const TapSum& sum, int64_t groups, int64_t group_weights) {
  const int64_t depth = std::max<int64_t>(1, static_cast<int64_t>(sum.taps.size()) * sum.C);
  if (is_in_place(sum)) {
    constexpr int64_t tasks = 16, least_rows = 4;
    const InPlace in(sum, groups);
    const int64_t blocks = in.blocks();
    const int64_t least = std::max(least_rows, ceil_div(least_pixels, std::max<int64_t>(1, sum.Q)));
    const int64_t rows = std::max(in.rows() * blocks / tasks, std::min(least, sum.P));
    return parallel_tasks(ceil_div(in.rows(), rows) * blocks, [&](int64_t task) {
      const int64_t first = task / blocks * rows, g0 = task % blocks * in.block;
      const int64_t g1 = std::min(groups, g0 + in.block);
      thread_local Scratch scratch;
      float* const packed = scratch.floats(round_up(g1 - g0, L) * depth);
      pack_weights(sum, g0, g1, group_weights, packed);
      for (int64_t row = first; row < std::min(in.rows(), first + rows); ++row)
        in_place_row(in, Row(in, row, task % blocks), packed);
    });
  }
  const Planes planes(sum, groups);
  thread_local Scratch scratch;
  float* const packed = scratch.floats(depth * planes.vectors * L * sum.K);
  pack_weights(sum, 0, groups, group_weights, packed);
  parallel_tasks(planes.boxes.count(), [&](int64_t task) {
    const Box box = planes.boxes[task];
    const float* in = copy_planes(sum, planes, box);
    for (int64_t p = box.p0; p < box.p1; ++p, in += sum.step_h * planes.row) {
      float* out_row = sum.out + box.n * sum.out_picture + p * sum.out_row;
      for (int64_t i = 0; i < planes.vectors * sum.K; ++i) {
        const int64_t v = i / sum.K, count = groups - v * L;
        const int64_t k = v * L * sum.K + i % sum.K;
        const float* weights = packed + i * planes.depth() * L;
        const Vec bias = sum.bias ? load_strided(sum.bias + k, sum.K, count) : hn::Zero(lanes_tag);
        for_each_tile(box.q1 - box.q0, max_pixels, [&](int64_t q, int64_t pixels) {
          with_count<max_pixels>(pixels, [&]<int M>() {
            pixel_tile<M>(sum, planes.offsets, in + v * planes.plane + q * sum.step_w * L, weights,
                          bias, out_row + (box.q0 + q) * sum.out_pixel + k, count);
          });
        });
      }
    }
  });
}

/// sums[t] += sum over the box's pixels of in(pixel, offsets[t]) * dy(pixel), for M terms and a
/// vector of groups.
template <int M>
HWY_INLINE void tap_tile(const TapSum& sum, const Planes& planes, const Box& box, const float* in,
                         const int64_t* offsets, const float* dy, int64_t count, float* sums) {
  Vec tile[M];
#pragma GCC unroll 9
  for (int m = 0; m < M; ++m) tile[m] = hn::Zero(lanes_tag);
  for (int64_t p = box.p0; p < box.p1; ++p, in += sum.step_h * planes.row) {
    const float* gradient = dy + box.n * sum.out_picture + p * sum.out_row + box.q0 * sum.out_pixel;
    const float* pixel = in;
    for (int64_t q = box.q0; q < box.q1; ++q, pixel += sum.step_w * L) {
      const Vec factor = load_strided(gradient, sum.K, count);
#pragma GCC unroll 9
      for (int m = 0; m < M; ++m) {
        tile[m] = hn::MulAdd(hn::Load(lanes_tag, pixel + offsets[m]), factor, tile[m]);
      }
      gradient += sum.out_pixel;
    }
  }
#pragma GCC unroll 9
  for (int m = 0; m < M; ++m) {
    hn::Store(hn::Add(hn::Load(lanes_tag, sums + m * L), tile[m]), lanes_tag, sums + m * L);
  }
}

/// Adds a box's part of the weights' gradient to sums [vector of groups][output][depth][L].
void box_weight(const TapSum& sum, const Planes& planes, const Box& box, const float* dy,
                float* sums) {
  const float* in = copy_planes(sum, planes, box);
  for (int64_t i = 0; i < planes.vectors * sum.K; ++i) {
    const int64_t v = i / sum.K;
    for_each_tile(planes.depth(), max_taps, [&](int64_t first, int64_t terms) {
      with_count<max_taps>(terms, [&]<int M>() {
        tap_tile<M>(sum, planes, box, in + v * planes.plane, planes.offsets.begin() + first,
                    dy + v * L * sum.K + i % sum.K, planes.groups - v * L,
                    sums + (i * planes.depth() + first) * L);
      });
    });
  }
}

/// The weights' gradient as a sum of parts, rows or boxes, of which each adds to sums
/// [vector of groups][output of a group][depth][L] by add(part, block, sums). Some parts after one
/// another form a split with sums of its own; blocks have vectors of groups of their own.
template <class Add>
void sum_in_splits(const TapSum& sum, int64_t groups, int64_t depth, int64_t parts,
                   int64_t most_splits, int64_t blocks, int64_t vectors_of_block, const Add& add,
                   float* dw) {
  const int64_t vectors = ceil_div(groups, L), vector_floats = sum.K * depth * L;
  const int64_t splits = std::clamp<int64_t>(most_splits / blocks, 1, std::max<int64_t>(1, parts));
  thread_local Scratch scratch;
  float* const sums = scratch.floats(splits * vectors * vector_floats);
  parallel_tasks(splits * blocks, [&](int64_t task) {
    const int64_t split = task / blocks, block = task % blocks, first = block * vectors_of_block;
    float* const mine = sums + split * vectors * vector_floats;
    std::fill(mine + first * vector_floats,
              mine + std::min(vectors, first + vectors_of_block) * vector_floats, 0.0f);
    for (int64_t part = parts * split / splits; part < parts * (split + 1) / splits; ++part)
      add(part, block, mine);
  });
  parallel_tasks(vectors * sum.K, [&](int64_t i) {
    const int64_t first = i / sum.K * L, k = first * sum.K + i % sum.K;
    for (int64_t t = 0; t < depth; ++t) {
      Vec total = hn::Zero(lanes_tag);
      for (int64_t split = 0; split < splits; ++split) {
        const float* part = sums + split * vectors * vector_floats + (i * depth + t) * L;
        total = hn::Add(total, hn::Load(lanes_tag, part));
      }
      store_strided(total, dw + k * depth + t, sum.K * depth, groups - first);
    }
  });
}

/// The gradient of all groups' weights, where `sum` is the forward sum of the first group.
void weight_across_groups(const TapSum& sum, int64_t groups, const float* dy, float* dw) {
  constexpr int64_t most_splits = 16;
  if (is_in_place(sum)) {
    const InPlace in(sum, groups);
    const int64_t blocks = in.blocks(), pixels = in.rows() * sum.Q;
    sum_in_splits(
        sum, groups, in.depth(), in.rows(), std::min(most_splits, blocks * (pixels / least_pixels)),
        blocks, in.block / L,
        [&](int64_t row, int64_t block, float* sums) {
          in_place_row_weight(in, Row(in, row, block), dy, sums);
        },
        dw);
  } else {
    const Planes planes(sum, groups);
    sum_in_splits(
        sum, groups, planes.depth(), planes.boxes.count(), most_splits, 1, planes.vectors,
        [&](int64_t box, int64_t, float* sums) {
          box_weight(sum, planes, planes.boxes[box], dy, sums);
        },
        dw);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace fettle
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fettle {

HWY_EXPORT(sum_across_groups);
HWY_EXPORT(weight_across_groups);

namespace {

int64_t weights_of_group(const Conv2dShape& s) {
  return s.R * s.S * (s.C / s.groups) * (s.K / s.groups);
}

}  // namespace

bool is_depthwise(const Conv2dShape& s) {
  return s.groups == s.C && s.groups > s.K / s.groups;
}

void depthwise_forward(const Conv2dShape& s, const float* x, const float* w, const float* bias,
                       Epilogue epilogue, float* y) {
  const auto compute = HWY_DYNAMIC_DISPATCH(sum_across_groups);
  compute(forward_sum(s, group_of(s, 0), x, w, bias, epilogue, y), s.groups, weights_of_group(s));
}

void depthwise_backward_input(const Conv2dShape& s, const float* dy, const float* w, float* dx) {
  const auto compute = HWY_DYNAMIC_DISPATCH(sum_across_groups);
  for (int64_t h0 = 0; h0 < std::min(s.stride_h, s.H); ++h0) {
    for (int64_t w0 = 0; w0 < std::min(s.stride_w, s.W); ++w0) {
      compute(backward_input_sum(s, group_of(s, 0), h0, w0, dy, w, dx), s.groups,
              weights_of_group(s));
    }
  }
}

void depthwise_backward_weight(const Conv2dShape& s, const float* dy, const float* x, float* dw) {
  const auto compute = HWY_DYNAMIC_DISPATCH(weight_across_groups);
  compute(forward_sum(s, group_of(s, 0), x, nullptr, nullptr, Epilogue::linear, nullptr), s.groups,
          dy, dw);
}

int64_t depthwise_caller_floats(const Conv2dShape& s) {
  constexpr int64_t most_columns = 64;
  return s.K == s.C ? 0 : s.R * s.S * (s.C + most_columns) * (s.K / s.C);
}

int64_t depthwise_thread_floats(const Conv2dShape& s) {
  constexpr int64_t most_columns = 64;
  if (s.K == s.C) return s.R * s.S * (s.C + most_columns);  // weights alone: the rest is in place
  const TapSum sum =
      forward_sum(s, group_of(s, 0), nullptr, nullptr, nullptr, Epilogue::linear, nullptr);
  return most_block_floats(window_of(sum.taps), s.stride_w, most_columns);
}

}  // namespace fettle
#endif  // HWY_ONCE
