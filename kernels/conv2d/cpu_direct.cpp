// Rows of the product are output pixels, columns are output channels, the depth is taps times
// channels. For each box of output pixels the input rows that it needs are copied once, with their
// zero border, into a block that stays in the cache; in it, neighbouring taps and their channels
// are neighbours in memory, so that the register tile runs over long contiguous segments. Where
// there is no border (1x1), the input is read in place.
#include "kernels/conv2d/cpu_direct.h"

#include <algorithm>
#include <vector>

#include "kernels/conv2d/cpu_box.h"
#include "kernels/parallel.h"
#include "kernels/scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/conv2d/cpu_direct.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "kernels/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fettle {
namespace HWY_NAMESPACE {
namespace {

constexpr int64_t panel_columns = max_vectors * L;

/// Where a tile of sums goes.
struct Target {
  float* first;
  const float* addend;  // laid out as what is written, or nullptr
  int64_t pixel, columns;
  const float* bias;  // padded to whole vectors, or nullptr
  bool relu;
};

template <int M, int V>
void pixel_tile(const float* in, int64_t step, const std::vector<Segment>& segments,
                const float* weights, const Target& out) {
  Tile<M, V> tile;
  tile.clear();
  for (const Segment& segment : segments) {
    tile.accumulate(segment.length, in + segment.offset, step, 1, weights, V * L);
    weights += segment.length * V * L;
  }
  // Each question once a tile, not once a vector, of which there are many.
  if (out.bias) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      const Vec bias = hn::LoadU(lanes_tag, out.bias + v * L);
#pragma GCC unroll 16
      for (int m = 0; m < M; ++m) tile.sums[m][v] = hn::Add(tile.sums[m][v], bias);
    }
  }
  if (out.addend) tile.add_from(out.addend, out.pixel, out.columns);
  if (out.relu) {
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m) {
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) tile.sums[m][v] = hn::Max(tile.sums[m][v], hn::Zero(lanes_tag));
    }
  }
  tile.store(out.first, out.pixel, out.columns);
}

template <int V>
void box_panel(const TapSum& sum, const Box& box, const Block& block,
               const std::vector<Segment>& segments, const float* weights, Target out) {
  for (int64_t p = box.p0; p < box.p1; ++p) {
    const float* row = block.first + (p - box.p0) * block.down;
    const int64_t out_row = box.n * sum.out_picture + p * sum.out_row;
    for_each_tile(box.q1 - box.q0, max_rows(V), [&](int64_t q, int64_t rows) {
      Target target = out;
      const int64_t offset = out_row + (box.q0 + q) * sum.out_pixel;
      target.first += offset;
      if (out.addend) target.addend += offset;
      with_count<max_rows(V)>(rows, [&]<int M>() {
        pixel_tile<M, V>(row + q * block.right, block.right, segments, weights, target);
      });
    });
  }
}

int64_t vectors_of_panel(int64_t K, int64_t panel) {
  return std::min<int64_t>(max_vectors, (K - panel * panel_columns + L - 1) / L);
}

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

/// to[c*width + k] = from[k*column + c] for C channels and `columns` columns. Runs of 64 channels
/// keep both sides in the first cache.
void transpose(const float* from, int64_t column, int64_t C, int64_t columns, int64_t width,
               float* to) {
  constexpr int64_t run = 64;
  for (int64_t c0 = 0; c0 < C; c0 += run) {
    const int64_t end = std::min(C, c0 + run), whole = c0 + (end - c0) / 4 * 4;
    for (int64_t k = 0; k < columns; ++k) {
      const bool square = k % 4 == 0 && k + 4 <= columns;
      if (square)
        for (int64_t c = c0; c < whole; c += 4)
          transpose_square(from + k * column + c, column, to + c * width + k, width);
      const bool done = k / 4 * 4 + 4 <= columns;
      for (int64_t c = done ? whole : c0; c < end; ++c) to[c * width + k] = from[k * column + c];
    }
  }
}

void pack_direct(const TapSum& sum, float* packed) {
  const auto taps = static_cast<int64_t>(sum.taps.size());
  const int64_t panels = (sum.K + panel_columns - 1) / panel_columns;
  parallel_tasks(panels * taps, [&](int64_t task) {
    const int64_t tap = task % taps, first = task / taps * panel_columns;
    const int64_t width = vectors_of_panel(sum.K, task / taps) * L;
    const int64_t valid = std::min(width, sum.K - first);
    const float* from = sum.weights + sum.taps[tap].weight + first * sum.column;
    float* to = packed + first * taps * sum.C + tap * sum.C * width;
    if (sum.column == 1) {
      for (int64_t c = 0; c < sum.C; ++c) std::copy_n(from + c * sum.depth, valid, to + c * width);
    } else {
      transpose(from, sum.column, sum.C, valid, width, to);
    }
    if (valid < width)
      for (int64_t c = 0; c < sum.C; ++c) std::fill_n(to + c * width + valid, width - valid, 0.0f);
  });
}

void run_direct(TapSum sum, const float* packed) {
  const Window window = window_of(sum.taps);
  const bool in_place = is_in_place(sum, window);
  flatten(sum, window);
  const int64_t depth = static_cast<int64_t>(sum.taps.size()) * sum.C;
  const int64_t panels = (sum.K + panel_columns - 1) / panel_columns;
  const int64_t padded_K = (sum.K + L - 1) / L * L;
  thread_local Scratch bias_scratch;
  float* bias = nullptr;
  if (sum.bias) {
    bias = bias_scratch.floats(padded_K);
    std::fill(std::copy_n(sum.bias, sum.K, bias), bias + padded_K, 0.0f);
  }

  const BoxTasks tasks(cut(sum.N, sum.P, sum.Q, sum.C, sum.step_h, sum.step_w, window), panels);
  parallel_tasks(tasks.count(), [&](int64_t task) {
    const Box box = tasks.box(task);
    thread_local Scratch scratch;
    const Block block = block_under(sum, window, box, in_place, 0, sum.C, 0, scratch);
    const std::vector<Segment> segments = segments_of(sum.taps, window, sum.C, block);
    for (int64_t panel = tasks.first_panel(task); panel < tasks.end_panel(task); ++panel) {
      const int64_t first = panel * panel_columns;
      const Target out{sum.out + first,
                       sum.addend ? sum.addend + first : nullptr,
                       sum.out_pixel,
                       sum.K - first,
                       bias ? bias + first : nullptr,
                       sum.epilogue == Epilogue::relu};
      with_count<max_vectors>(vectors_of_panel(sum.K, panel), [&]<int V>() {
        box_panel<V>(sum, box, block, segments, packed + first * depth, out);
      });
    }
  });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace fettle
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fettle {

HWY_EXPORT(pack_direct);
HWY_EXPORT(run_direct);

int64_t direct_packed_floats(const TapSum& sum) {
  const auto taps = static_cast<int64_t>(sum.taps.size());
  return std::max<int64_t>(1, taps * sum.C * whole_vectors(sum.K));
}

void direct_pack(const TapSum& sum, float* packed) {
  HWY_DYNAMIC_DISPATCH(pack_direct)(sum, packed);
}

void direct_run(const TapSum& sum, const float* packed) {
  HWY_DYNAMIC_DISPATCH(run_direct)(sum, packed);
}

int64_t direct_caller_floats(const TapSum& sum) {
  return whole_vectors(sum.K);
}

int64_t direct_thread_floats(const TapSum& sum) {
  return most_block_floats(window_of(sum.taps), sum.step_w, sum.C);
}

}  // namespace fettle
#endif  // HWY_ONCE
