// Rows of the product are output pixels, columns are output channels, the depth is taps times
// channels. For each box of output pixels the input rows that it needs are copied once, with their
// zero border, into a block that stays in the cache; in it, neighbouring taps and their channels
// are neighbours in memory, so that the register tile runs over long contiguous segments. Where
// there is no border (1x1), the input is read in place.
#include "kernels/conv2d/cpu_direct.h"

#include <algorithm>
#include <atomic>
#include <span>
#include <vector>

#include "kernels/conv2d/cpu_box.h"
#include "kernels/divide.h"
#include "kernels/parallel.h"
#include "kernels/prefetch.h"
#include "kernels/scratch.h"

#ifndef FETTLE_DIRECT_ONCE
#define FETTLE_DIRECT_ONCE
namespace fettle {
namespace {

constexpr int64_t widest_panel = 64;  // columns, of any of the instruction sets

/// All weights pass through the cache once for each box. Where they fill it, boxes are larger.
BoxLimits limits_of(const TapSum& sum) {
  constexpr int64_t many_weights = 256 * 1024, large_block = 160 * 1024;
  const int64_t weights = static_cast<int64_t>(sum.taps.size()) * sum.C * sum.K;
  BoxLimits limits = usual_limits;
  if (weights > many_weights) limits.floats = large_block;
  return limits;
}

}  // namespace
}  // namespace fettle
#endif  // FETTLE_DIRECT_ONCE

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/conv2d/cpu_direct.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "kernels/conv2d/pack-inl.h"
#include "kernels/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fettle {
namespace HWY_NAMESPACE {
namespace {

constexpr int64_t panel_columns = max_vectors * L;
// Of a panel's weights: half of a first cache of 48 KiB, three quarters of one of 32 KiB.
constexpr int64_t chunk_depth = 6144 / panel_columns;

/// Where a tile of sums goes.
struct Target {
  float* first;
  const float* addend;  // laid out as what is written, or nullptr
  int64_t pixel, columns;
  const float* bias;  // padded to whole vectors, or nullptr
  bool relu;
};

/// A part of the depth, whose weights stay in the first cache while all pixels of a box pass.
struct Chunk {
  size_t segments = 0;
  int64_t depth = 0, stretches = 0;
  bool first = false, last = false;
};

/// The whole depth. It keeps its memory from box to box.
struct Depth {
  std::vector<Chunk> chunks;
  std::vector<Segment> segments;  // of the first chunk, of the second, ...

  /// Cuts the segments into chunks of equal size, at most `most`.
  void cut(const Segments& whole, int64_t most) {
    chunks.clear(), segments.clear();
    int64_t depth = 0;
    for (const Segment& segment : whole) depth += segment.length;
    const int64_t count = std::max<int64_t>(1, ceil_div(depth, most));
    int64_t left = 0;
    for (Segment segment : whole) {
      while (segment.length > 0) {
        if (left == 0) chunks.push_back({}), left = ceil_div(depth, count);
        const int64_t length = std::min(left, segment.length);
        segments.push_back({segment.offset, length});
        Chunk& chunk = chunks.back();
        ++chunk.segments, chunk.depth += length, chunk.stretches += stretches(length);
        left -= length, segment.offset += length, segment.length -= length;
      }
    }
    if (chunks.empty()) chunks.push_back({});
    chunks.front().first = chunks.back().last = true;
  }
};

/// One chunk of M pixels by V vectors of channels. Between chunks the sums wait in `waiting`. What
/// the next tile reads, and `ahead`, come nearer meanwhile.
template <int M, int V>
void pixel_tile(const float* in, int64_t step, const Chunk& chunk,
                std::span<const Segment> segments, const float* weights, float* waiting,
                const Target& out, LinesAhead& ahead) {
  Tile<M, V> tile;
  if (chunk.first) {
    tile.clear();
  } else {
    tile.load(waiting, V * L);
  }
  if (chunk.last) {
    for (int m = 0; m < M; ++m) {
      for (int64_t k = 0; k < V * L; k += cache_line) {
        prefetch(out.first, m * out.pixel + k);
        if (out.addend) prefetch(out.addend, m * out.pixel + k);
      }
    }
  }
  for (const Segment& segment : segments) {
    tile.accumulate(segment.length, in + segment.offset, step, 1, weights, V * L, [&](int64_t t) {
      for (int m = M; m < 2 * M; ++m) prefetch(in, segment.offset + m * step + t);
      ahead.fetch();
    });
    weights += segment.length * V * L;
  }
  if (!chunk.last) return tile.store(waiting, V * L, V * L);
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
void box_panel(const TapSum& sum, const Box& box, const Block& block, const Depth& depth,
               const float* weights, float* waiting, const Target& out) {
  const int64_t rows_of_tile = max_rows(V), columns = box.q1 - box.q0;
  const int64_t tiles = (box.p1 - box.p0) * ceil_div(columns, rows_of_tile);
  const Segment* next = depth.segments.data();
  for (const Chunk& chunk : depth.chunks) {
    const std::span segments(next, chunk.segments);
    next += chunk.segments;
    int64_t waiting_floats = 0;
    // The next chunk, spread over all stretches of this one's tiles.
    const int64_t floats = chunk.depth * V * L;
    LinesAhead ahead(weights, floats, floats, tiles * chunk.stretches);
    for (int64_t p = box.p0; p < box.p1; ++p) {
      const float* row = block.first + (p - box.p0) * block.down;
      const int64_t out_row = box.n * sum.out_picture + p * sum.out_row;
      for_each_tile(columns, max_rows(V), [&](int64_t q, int64_t rows) {
        Target target = out;
        const int64_t offset = out_row + (box.q0 + q) * sum.out_pixel;
        target.first += offset;
        if (out.addend) target.addend += offset;
        float* const wait = waiting ? waiting + waiting_floats : nullptr;
        with_count<max_rows(V)>(rows, [&]<int M>() {
          pixel_tile<M, V>(row + q * block.right, block.right, chunk, segments, weights, wait,
                           target, ahead);
        });
        waiting_floats += rows * V * L;
      });
    }
    weights += chunk.depth * V * L;
  }
}

int64_t vectors_of_panel(int64_t K, int64_t panel) {
  return std::min<int64_t>(max_vectors, ceil_div(K - panel * panel_columns, L));
}

void pack_direct(const TapSum& sum, float* packed) {
  const auto taps = static_cast<int64_t>(sum.taps.size());
  const int64_t panels = ceil_div(sum.K, panel_columns);
  parallel_tasks(panels * taps, [&](int64_t task) {
    const int64_t tap = task % taps, first = task / taps * panel_columns;
    const int64_t width = vectors_of_panel(sum.K, task / taps) * L;
    pack_tap(sum, sum.taps[tap], 0, sum.C, first, width,
             packed + first * taps * sum.C + tap * sum.C * width);
  });
}

void run_direct(TapSum sum, const float* packed) {
  const Window window = window_of(sum.taps);
  const bool in_place = is_in_place(sum, window);
  flatten(sum, window);
  const int64_t depth = static_cast<int64_t>(sum.taps.size()) * sum.C;
  const int64_t panels = ceil_div(sum.K, panel_columns);
  const int64_t padded_K = round_up(sum.K, L);
  thread_local Scratch bias_scratch;
  float* bias = nullptr;
  if (sum.bias) {
    bias = bias_scratch.floats(padded_K);
    std::fill(std::copy_n(sum.bias, sum.K, bias), bias + padded_K, 0.0f);
  }

  // In place the pixels between those that are read take no room.
  const BoxTasks tasks(cut(sum.N, sum.P, sum.Q, sum.C, in_place ? 1 : sum.step_h,
                           in_place ? 1 : sum.step_w, window, limits_of(sum)),
                       panels);
  static std::atomic<uint64_t> runs{0};
  const uint64_t run = ++runs;
  parallel_tasks(tasks.count(), [&](int64_t task) {
    const Box box = tasks.box(task);
    thread_local Scratch scratch;
    // A thread copies a box once for all groups of panels that it gets one after another.
    thread_local uint64_t copied_in_run = 0;
    thread_local Box copied = {};
    thread_local Block block = {};
    thread_local Depth depth_of_box;
    if (copied_in_run != run || copied != box) {
      block = block_under(sum, window, box, 1, in_place, 0, sum.C, 0, scratch);
      depth_of_box.cut(segments_of(sum.taps, window, sum.C, block), chunk_depth);
      copied_in_run = run, copied = box;
    }
    thread_local Scratch waiting_scratch;
    float* waiting = depth_of_box.chunks.size() > 1
                         ? waiting_scratch.floats(box.pixels() * panel_columns)
                         : nullptr;
    for (int64_t panel = tasks.first_panel(task); panel < tasks.end_panel(task); ++panel) {
      const int64_t first = panel * panel_columns;
      const Target out{sum.out + first,
                       sum.addend ? sum.addend + first : nullptr,
                       sum.out_pixel,
                       sum.K - first,
                       bias ? bias + first : nullptr,
                       sum.epilogue == Epilogue::relu};
      with_count<max_vectors>(vectors_of_panel(sum.K, panel), [&]<int V>() {
        box_panel<V>(sum, box, block, depth_of_box, packed + first * depth, waiting, out);
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
  return most_block_floats(window_of(sum.taps), sum.step_w, sum.C, limits_of(sum)) +
         usual_limits.pixels * widest_panel;
}

}  // namespace fettle
#endif  // HWY_ONCE
