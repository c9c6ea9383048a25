// Depthwise convolutions of one channel in and one out for each group, whose taps are rows of at
// most three neighbours. A group's channel lies beside the next group's, so vectors of groups are
// read and written in place. A tile, a few neighbouring pixels of a row of output, loads each pixel
// of input once for all taps of a row. There is so little to compute that the way from the second
// cache takes as long: so a tile is followed by the one below it, each for a block of channels, and
// finds the rows that they share still in the first cache. Included once for every instruction set
// (see hwy/foreach_target.h), hence the toggling guard.
#if defined(FETTLE_CONV2D_DEPTHWISE_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FETTLE_CONV2D_DEPTHWISE_ROWS_INL_H_
#undef FETTLE_CONV2D_DEPTHWISE_ROWS_INL_H_
#else
#define FETTLE_CONV2D_DEPTHWISE_ROWS_INL_H_
#endif

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <span>
#include <vector>

#include "kernels/conv2d/pack-inl.h"
#include "kernels/conv2d/tap_sum.h"
#include "kernels/parallel.h"
#include "kernels/prefetch.h"
#include "kernels/scratch.h"
#include "kernels/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fettle {
namespace HWY_NAMESPACE {
namespace {

// Pixels of a tile. Without vectors no tile is quick, and one pixel takes the least room.
constexpr int max_pixels = HWY_TARGET == HWY_SCALAR ? 1 : 7;

/// Rows [begin, end) of the output of all pictures one after the other, P of each, and channels
/// [g0, g1).
struct Block {
  int64_t begin, end, P, g0, g1;
};

/// How rows and channels are cut into blocks, one a task: into powers of two, so that two threads
/// have the same to do. Parts of few rows would read too much twice. Few channels lie in too many
/// places, and many leave no room in the first cache.
struct Blocks {
  Blocks(const TapSum& sum, int64_t all_groups)
      : P(sum.P), rows(sum.N * sum.P), groups(all_groups) {
    constexpr int64_t tasks = 16, least_rows = 14, least_pixels = 392;
    constexpr int64_t least_channels = 96, most_channels = 256;
    const auto power = [](int64_t most) {
      return static_cast<int64_t>(
          std::bit_floor(static_cast<uint64_t>(std::max<int64_t>(1, most))));
    };
    parts = power(std::min({rows / least_rows, rows * sum.Q / least_pixels, tasks}));
    across = power(std::min(groups / least_channels, tasks / parts));
    while (groups > across * most_channels) across *= 2;
  }
  int64_t count() const { return parts * across; }
  Block operator[](int64_t i) const {
    const int64_t part = i / across, a = i % across, vectors = ceil_div(groups, L);
    return {rows * part / parts, rows * (part + 1) / parts, P, vectors * a / across * L,
            std::min(groups, vectors * (a + 1) / across * L)};
  }

  int64_t P, rows, groups;
  int64_t parts, across;  // parts of the rows, and of the channels
};

constexpr int64_t most_rows = 16;          // in a list
constexpr int64_t large_floats = 2 << 20;  // of an input that comes from memory

/// A row of output, and the rows of taps inside the picture that it needs; in floats.
struct Row {
  int64_t in, out, weight;  // to where the first tap of column 0 reads, to column 0, to that tap
  int64_t taps;             // rows of taps
};

/// Some rows of output of a sum.
struct Rows {
  /// Those of rows [from, to) that the sum has, P of a picture. Before its taps' weights lie
  /// those of `taps_before` others.
  Rows(const TapSum& the_sum, int64_t from, int64_t to, int64_t P, int64_t taps_before)
      : sum(&the_sum) {
    const Taps& taps = sum->taps;
    int64_t tap_rows = 0, top = 0, apart = 1;
    if (!taps.empty()) {
      columns = columns_of(taps), tap_rows = static_cast<int64_t>(taps.size()) / columns;
      top = taps[0].h, left = taps[0].w;
      if (tap_rows > 1) apart = taps[static_cast<size_t>(columns)].h - top;
    }
    const int64_t pitch = sum->W * sum->in_pixel;
    in_row = apart * pitch;
    ahead = sum->N * sum->H * pitch > large_floats ? sum->step_h : 0;
    for (int64_t i = from; i < to; ++i) {
      const int64_t n = i / P, p = i % P, h = p * sum->step_h + top;
      if (p >= sum->P) continue;
      int64_t first = 0, last = 0;
      while (first < tap_rows && h + first * apart < 0) ++first;
      while (last < tap_rows && h + last * apart < sum->H) ++last;
      rows[count++] = {(n * sum->H + h + first * apart) * pitch + left * sum->in_pixel,
                       n * sum->out_picture + p * sum->out_row, (taps_before + first * columns) * L,
                       last - first};
    }
  }

  const Row* begin() const { return rows.data(); }
  const Row* end() const { return begin() + count; }

  const TapSum* sum;
  int64_t columns = 1, left = 0;  // of a row of taps; the first one's
  int64_t in_row;                 // floats from what a row of taps reads to the next
  int64_t ahead;                  // rows of input to prefetch
  std::array<Row, most_rows> rows;
  size_t count = 0;
};

/// A vector of groups, of which `count` are left.
template <bool Whole>
HWY_INLINE Vec load_groups(const float* p, int64_t count) {
  return Whole ? hn::LoadU(lanes_tag, p) : load(p, std::min(count, L - 1));
}

/// Loads what rows of T taps read for M pixels of output from column q on, which lie Step apart in
/// the input. The first tap of the first pixel and the last one of the last may be outside.
template <int M, int Step, int T, bool Whole>
struct Reader {
  Reader(const Rows& rows, int64_t q)
      : in(rows.sum->in),
        pixel(rows.sum->in_pixel),
        pitch(rows.sum->W * pixel),
        column(q * Step * pixel),
        left(q * Step + rows.left < 0),
        right(q * Step + rows.left + last >= rows.sum->W) {}

  /// Calls f(pixel of output, tap, what it reads) for a row of taps, of which the first one reads
  /// at `at` for column 0.
  template <class F>
  HWY_INLINE void for_taps(int64_t at, int64_t count, const F& f) const {
    at += column;
#pragma GCC unroll 17
    for (int i = 0; i <= last; ++i, at += pixel) {
      if ((i == 0 && left) || (i == last && right)) continue;
      const Vec x = in_register(load_groups<Whole>(in + at, count));
#pragma GCC unroll 3
      for (int t = 0; t < T; ++t) {
        const int m = (i - t) / Step;
        if (i >= t && (i - t) % Step == 0 && m < M) f(m, t, x);
      }
    }
  }

  /// Prefetches the rows of input below, which the next row of output reads for the first time.
  HWY_INLINE void prefetch_below(int64_t at, int64_t rows) const {
    at += column;
#pragma GCC unroll 1
    for (; rows > 0; --rows, at += pitch)
#pragma GCC unroll 1
      for (int i = 0; i < M * Step; ++i) prefetch(in, at + i * pixel);
  }

  static constexpr int last = (M - 1) * Step + T - 1;  // pixel of input, from the first on
  const float* in;
  int64_t pixel, pitch;  // floats to the next pixel, and to the next row
  int64_t column;        // floats from column 0 to the first pixel
  bool left, right;      // whether the first and the last pixel are outside
};

/// The outputs of M pixels from column q on, of some rows and channels [g0, g1). `weights` are of
/// each vector of channels the bias and [tap][L], `vector` floats.
template <int M, int Step, int T, bool Whole>
HWY_NOINLINE void sum_tiles(const Rows& rows, int64_t q, int64_t g0, int64_t g1,
                            const float* weights, int64_t vector) {
  const Reader<M, Step, T, Whole> reader(rows, q);
  const int64_t in_row = rows.in_row, out_pixel = rows.sum->out_pixel;
  [[maybe_unused]] const int64_t ahead = rows.ahead;  // one tap is a phase beside others
  const bool relu = rows.sum->epilogue == Epilogue::relu;
  const Vec least = hn::Set(lanes_tag, relu ? 0 : -std::numeric_limits<float>::infinity());
  float* const out = rows.sum->out + q * out_pixel;
  for (const Row& row : rows) {
    const float* of_vector = weights;
    for (int64_t g = g0; g < g1; g += L, of_vector += vector) {
      Vec sums[M];
#pragma GCC unroll 8
      for (int m = 0; m < M; ++m) sums[m] = hn::Load(lanes_tag, of_vector);
      const float* from = of_vector + L + row.weight;
      int64_t at = row.in + g;
      for (int64_t r = 0; r < row.taps; ++r, from += T * L, at += in_row) {
        Vec w[T];
#pragma GCC unroll 3
        for (int t = 0; t < T; ++t) w[t] = hn::Load(lanes_tag, from + t * L);
        reader.for_taps(at, g1 - g,
                        [&](int m, int t, Vec x) { sums[m] = hn::MulAdd(x, w[t], sums[m]); });
      }
      if constexpr (T > 1) reader.prefetch_below(at, ahead);
      float* to = out + (row.out + g);
#pragma GCC unroll 8
      for (int m = 0; m < M; ++m, to += out_pixel)  // least comes first, so that NaN stays
        store(hn::Max(least, sums[m]), to, Whole ? L : g1 - g);
    }
  }
}

/// The same pixels' part of the weights' gradient: sums [vector of groups][tap][L] += sum over
/// pixels of in(pixel, tap) * dy(pixel).
template <int M, int Step, bool Whole>
HWY_NOINLINE void weight_tiles(const Rows& rows, int64_t q, int64_t g0, int64_t g1, const float* dy,
                               float* sums, int64_t vector) {
  constexpr int T = 3;
  const Reader<M, Step, T, Whole> reader(rows, q);
  const int64_t in_row = rows.in_row, dy_pixel = rows.sum->out_pixel, ahead = rows.ahead;
  dy += q * dy_pixel;
  for (const Row& row : rows) {
    float* of_vector = sums + row.weight;
    for (int64_t g = g0; g < g1; g += L, of_vector += vector) {
      Vec factors[M];
      const float* from = dy + (row.out + g);
#pragma GCC unroll 8
      for (int m = 0; m < M; ++m, from += dy_pixel)
        factors[m] = in_register(load_groups<Whole>(from, g1 - g));
      float* to = of_vector;
      int64_t at = row.in + g;
      for (int64_t r = 0; r < row.taps; ++r, to += T * L, at += in_row) {
        Vec w[T];
#pragma GCC unroll 3
        for (int t = 0; t < T; ++t) w[t] = hn::Load(lanes_tag, to + t * L);
        reader.for_taps(at, g1 - g,
                        [&](int m, int t, Vec x) { w[t] = hn::MulAdd(x, factors[m], w[t]); });
#pragma GCC unroll 3
        for (int t = 0; t < T; ++t) hn::Store(w[t], lanes_tag, to + t * L);
      }
      reader.prefetch_below(at, ahead);
    }
  }
}

/// Calls tiles.operator()<M, Step, T, Whole>(rows, q, g0, g1) for all rows and columns of a block
/// of sums, of which the first has the most of them, with `Least` or more taps in a row. What is
/// left of whole vectors of channels goes pixel by pixel, which takes less room in the program.
template <int Least, class F>
void for_tiles(std::span<const TapSum> sums, const Block& block, const F& tiles) {
  // Several sums take turns, so that the input that they share is still near.
  const int64_t turn = sums.size() > 1 ? 4 : most_rows;
  thread_local std::vector<Rows> parts;
  parts.clear();
  for (int64_t begin = block.begin; begin < block.end; begin += turn) {
    int64_t taps = 0;
    for (const TapSum& sum : sums) {
      parts.emplace_back(sum, begin, std::min(block.end, begin + turn), block.P, taps);
      taps += static_cast<int64_t>(sum.taps.size());
    }
  }
  const int64_t whole = block.g0 + (block.g1 - block.g0) / L * L;
  const int64_t count = ceil_div(sums[0].Q, max_pixels);
  for (int64_t i = 0; i < count; ++i) {
    for (const Rows& rows : parts) {
      const int64_t q = rows.sum->Q * i / count, end = rows.sum->Q * (i + 1) / count;
      const auto call = [&]<int Step, int T>() {
        with_count<max_pixels>(end - q, [&]<int M>() {
          tiles.template operator()<M, Step, T, true>(rows, q, block.g0, whole);
        });
        if constexpr (L > 1) {
          for (int64_t p = q; whole < block.g1 && p < end; ++p)
            tiles.template operator()<1, Step, T, false>(rows, p, whole, block.g1);
        }
      };
      if (rows.sum->step_w == 2) {
        call.template operator()<2, 3>();
      } else if (Least == 3 || rows.columns == 3) {
        call.template operator()<1, 3>();
      } else if constexpr (Least < 3) {
        with_count<2>(rows.columns, [&]<int T>() { call.template operator()<1, T>(); });
      }
    }
  }
}

/// The sums of all groups, of which `sums` are those of the first: one, or those of all phases of a
/// strided gradient, which read the same pixels. Weights are [group][taps].
void sums_in_place(std::span<const TapSum> sums, int64_t groups, int64_t taps) {
  const Blocks blocks(sums[0], groups);
  const float *const weights = sums[0].weights, *const bias = sums[0].bias;
  const int64_t vector = (taps + 1) * L;
  parallel_tasks(blocks.count(), [&](int64_t task) {
    const Block block = blocks[task];
    thread_local Scratch scratch;
    const int64_t floats = round_up(block.g1 - block.g0, L) * (taps + 1);
    float *const packed = scratch.floats(2 * floats), *const in_order = packed + floats;
    for (int64_t g = block.g0; g < block.g1; g += L) {
      const int64_t count = std::min(L, block.g1 - g), at = (g - block.g0) * (taps + 1);
      if (count < L) std::fill_n(in_order + at, taps * L, 0.0f);
      transpose(weights + g * taps, taps, taps, count, L, in_order + at);
    }
    // A pass of its own: whole vectors cannot be loaded at once where parts have just been stored.
    for (int64_t g = block.g0; g < block.g1; g += L) {
      const int64_t at = (g - block.g0) * (taps + 1);
      float* to = packed + at;
      hn::Store(bias ? load(bias + g, block.g1 - g) : hn::Zero(lanes_tag), lanes_tag, to);
      for (const TapSum& sum : sums) {
        for (const Tap& tap : sum.taps) {
          to += L;
          hn::Store(hn::Load(lanes_tag, in_order + at + tap.weight * L), lanes_tag, to);
        }
      }
    }
    for_tiles<1>(sums, block,
                 [&]<int M, int Step, int T, bool Whole>(const Rows& rows, int64_t q, int64_t g0,
                                                         int64_t g1) {
                   sum_tiles<M, Step, T, Whole>(rows, q, g0, g1,
                                                packed + (g0 - block.g0) * (taps + 1), vector);
                 });
  });
}

/// The gradient dw [group][taps] of all groups' weights, where `sum` is the forward sum of the
/// first group. Each part of the rows has sums of its own.
void weight_in_place(const TapSum& sum, int64_t groups, const float* dy, float* dw) {
  const auto taps = static_cast<int64_t>(sum.taps.size());
  const Blocks blocks(sum, groups);
  const int64_t part_floats = round_up(groups, L) * taps;
  thread_local Scratch scratch;
  float* const sums = scratch.floats(blocks.parts * part_floats);
  const auto add_parts = [&](int64_t g0, int64_t g1) {
    for (int64_t part = 1; part < blocks.parts; ++part) {
      for (int64_t i = g0 * taps; i < round_up(g1, L) * taps; i += L) {
        const Vec other = hn::Load(lanes_tag, sums + part * part_floats + i);
        hn::Store(hn::Add(hn::Load(lanes_tag, sums + i), other), lanes_tag, sums + i);
      }
    }
    for (int64_t g = g0; g < g1; g += L)
      transpose(sums + g * taps, L, std::min(L, g1 - g), taps, taps, dw + g * taps);
  };
  parallel_tasks(blocks.count(), [&](int64_t task) {
    const Block block = blocks[task];
    float* const mine = sums + task / blocks.across * part_floats;
    std::fill(mine + block.g0 * taps, mine + round_up(block.g1, L) * taps, 0.0f);
    for_tiles<3>({&sum, 1}, block,
                 [&]<int M, int Step, int T, bool Whole>(const Rows& rows, int64_t q, int64_t g0,
                                                         int64_t g1) {
                   weight_tiles<M, Step, Whole>(rows, q, g0, g1, dy, mine + g0 * taps, taps * L);
                 });
    if (blocks.parts == 1) add_parts(block.g0, block.g1);
  });
  if (blocks.parts > 1) add_parts(0, groups);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace fettle
HWY_AFTER_NAMESPACE();

#endif  // include guard
