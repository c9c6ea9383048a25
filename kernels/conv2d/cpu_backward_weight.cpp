// dw[k][t] = sum over pixels of dy(pixel, k) * x(pixel, t), where t runs over taps and channels: a
// matrix product whose rows are outputs, whose columns are taps and channels as they lie in dw, and
// whose depth is all pixels of all pictures.
//
// The input is copied in blocks of a few channels, whose pixels lie close together; every tap reads
// the block from another place on. A first layer with few channels has its taps laid side by side
// instead, so that vectors are full. dy is copied, too, unless it is read but once: in place, the
// pixels of a layer with many outputs lie whole pages apart.
#include "kernels/conv2d/cpu_backward_weight.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "kernels/conv2d/cpu_box.h"
#include "kernels/divide.h"
#include "kernels/parallel.h"
#include "kernels/prefetch.h"
#include "kernels/scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/conv2d/cpu_backward_weight.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "kernels/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fettle {
namespace HWY_NAMESPACE {
namespace {

constexpr int64_t panel_columns = max_vectors * L;
constexpr int64_t strip = most_lanes;       // outputs whose gradients are copied side by side
constexpr int64_t strips_at_once = 4;       // that stay in the cache while the columns run
constexpr int64_t block_floats = 64 << 10;  // of input, a part of the second cache
constexpr int64_t tasks_wanted = 16, most_sums = 4 << 20;

/// Columns of dw that lie together there and in the block.
struct Columns {
  int64_t dw, block, count;
};

/// A box of pixels, of several pictures if it is a whole one, and a block of channels, whose
/// products are formed together.
struct Work {
  Box box;
  int64_t pictures, c0, channels;

  int64_t rows() const { return box.p1 - box.p0; }
  int64_t width() const { return box.q1 - box.q0; }
  int64_t pixels() const { return pictures * box.pixels(); }
};

/// Gradients under a box: strips of so many outputs, `next` floats apart.
struct Gradients {
  const float* first;
  int64_t picture, row, pixel, outputs, next;
};

/// Those of outputs [k, k + count) as they lie in dy.
Gradients gradients_in_place(const Conv2dShape& s, const Group& g, const Work& work, int64_t k,
                             int64_t count, const float* dy) {
  const Box& box = work.box;
  const float* first = dy + ((box.n * s.P + box.p0) * s.Q + box.q0) * s.K + g.y + k;
  return {first, s.P * s.Q * s.K, s.Q * s.K, s.K, count, 0};
}

/// Where they lie in dy.
Region gradients_under(const Conv2dShape& s, const Group& g, const Work& work, int64_t k,
                       int64_t count, const float* dy) {
  const Gradients in = gradients_in_place(s, g, work, k, count, dy);
  const int64_t rows = work.pictures * work.rows();
  return {address_of(in.first, 0), rows, in.row, work.width(), in.pixel, count};
}

/// Those copied into [strip][pixel][16].
Gradients gradients_copied(const Conv2dShape& s, const Group& g, const Work& work, int64_t k,
                           int64_t count, const float* dy, float* to) {
  constexpr int64_t soon = 8;  // pixels
  const int64_t row = work.width() * strip;
  const Gradients from = gradients_in_place(s, g, work, k, count, dy);
  const Gradients copy = {to, work.rows() * row, row, strip, strip, work.pixels() * strip};
  for (int64_t p = 0; p < work.pictures * work.rows(); ++p) {
    const float* pixel = from.first + p / work.rows() * from.picture + p % work.rows() * from.row;
    for (int64_t q = 0; q < work.width(); ++q, pixel += from.pixel, to += strip) {
      for (int64_t i = 0; i < count; i += cache_line) prefetch(pixel, soon * from.pixel + i);
      for (int64_t i = 0; i < count; i += L)
        store(load(pixel + i, count - i), to + i / strip * copy.next + i % strip, L);
    }
  }
  return copy;
}

/// Stretches of all tiles of so many columns and outputs, or a few less.
int64_t stretches_of(const Work& work, int64_t columns, int64_t outputs) {
  return ceil_div(columns, panel_columns) * ceil_div(outputs, strip) *
         ceil_div(strip, max_rows(max_vectors)) * work.pictures * work.rows() *
         stretches(work.width());
}

/// Adds the products to `count` columns of `outputs` rows of dw, or writes them if they are the
/// first. Calls on_the_way once a stretch.
template <int V, class F>
void add_products(const Work& work, const Gradients& gradients, int64_t outputs, const Block& block,
                  const Columns& columns, bool first, float* dw, int64_t dw_row,
                  const F& on_the_way) {
  const Runs pictures = {work.pictures, gradients.picture, block.picture};
  const Runs rows_of_box = {work.rows(), gradients.row, block.down};
  const float* from = gradients.first;
  for (int64_t k0 = 0; k0 < outputs; k0 += gradients.outputs, from += gradients.next) {
    for_each_tile(
        std::min(gradients.outputs, outputs - k0), max_rows(V), [&](int64_t k, int64_t rows) {
          with_count<max_rows(V)>(rows, [&]<int M>() {
            Tile<M, V> tile;
            tile.clear();
            tile.accumulate_runs(pictures, rows_of_box, work.width(), from + k, 1, gradients.pixel,
                                 block.first + columns.block, block.right, on_the_way);
            float* to = dw + (k0 + k) * dw_row + columns.dw;
            if (first) {
              tile.store(to, dw_row, columns.count);
            } else {
              tile.add_to(to, dw_row, columns.count);
            }
          });
        });
  }
}

/// The box's input with all taps of a pixel side by side.
Block with_taps_side_by_side(const Box& box, const Block& block, const Segments& segments,
                             int64_t depth, float* to) {
  const int64_t columns = box.q1 - box.q0;
  float* at = to;
  for (int64_t p = 0; p < box.p1 - box.p0; ++p) {
    for (int64_t q = 0; q < columns; ++q) {
      const float* pixel = block.first + p * block.down + q * block.right;
      for (const Segment& segment : segments) {
        // Whole vectors: what is too much, the next segment writes over.
        for (int64_t t = 0; t < segment.length; t += L)
          hn::StoreU(hn::LoadU(lanes_tag, pixel + segment.offset + t), lanes_tag, at + t);
        at += segment.length;
      }
    }
  }
  return {to, columns * depth, depth, columns * depth, depth};
}

/// A convolution that is a plain matrix product, with all its pixels in one row.
Conv2dShape flattened(const Conv2dShape& s) {
  Conv2dShape flat = s;
  const bool plain = s.R == 1 && s.S == 1 && s.stride_h == 1 && s.stride_w == 1 && s.pad_top == 0 &&
                     s.pad_left == 0 && s.P == s.H && s.Q == s.W;
  if (plain) {
    flat.W = flat.Q = s.N * s.P * s.Q;
    flat.N = flat.H = flat.P = 1;
  }
  return flat;
}

/// How the products are cut into tasks: each has a block of channels and a split of the works.
struct Cuts {
  Cuts(const Conv2dShape& shape, const Group& group, const float* x)
      : s(shape),
        g(group),
        sum(forward_sum(s, g, x, nullptr, nullptr, Epilogue::linear, nullptr)),
        window(window_of(sum.taps)),
        depth(s.R * s.S * g.C),
        narrow(g.C < L && sum.taps.size() > 1) {
    const bool one_tap = is_in_place(sum, window);
    in_place = one_tap && g.C == s.C && g.C % L == 0 && g.C <= panel_columns;
    // Each split of the pixels has its own sums, which are added in order at the end. Splits make
    // enough tasks for many cores with wide blocks of channels, for each of which dy is copied
    // again.
    const int64_t most_splits = std::clamp<int64_t>(most_sums / (g.K * depth), 1, tasks_wanted);
    const int64_t panels = ceil_div(g.C * most_splits / tasks_wanted, panel_columns);
    block_channels =
        std::min(g.C, panel_columns * (one_tap ? std::clamp<int64_t>(panels, 1, 4) : 1));
    channel_blocks = ceil_div(g.C, block_channels);
    const BoxLimits limits = {block_floats, narrow ? block_floats / depth : 256};
    const int64_t step_h = one_tap ? 1 : s.stride_h, step_w = one_tap ? 1 : s.stride_w;
    boxes = cut(s.N, s.P, s.Q, block_channels, step_h, step_w, window, limits);
    together =
        narrow ? 1 : pictures_together(boxes, block_channels, step_h, step_w, window, limits);
    works = ceil_div(boxes.count(), together);
    splits = std::clamp<int64_t>(std::min(tasks_wanted / channel_blocks, most_splits), 1, works);
    reads_once =
        std::ssize(sum.taps) * block_channels <= panel_columns && s.K <= strips_at_once * strip;
    at_once = reads_once ? g.K : strips_at_once * strip;
  }

  int64_t tasks() const { return splits * channel_blocks; }
  int64_t split(int64_t task) const { return task / channel_blocks; }
  /// The task's works are [begin(task), end(task)).
  int64_t begin(int64_t task) const { return works * split(task) / splits; }
  int64_t end(int64_t task) const { return works * (split(task) + 1) / splits; }

  Work work(int64_t task, int64_t i) const {
    const int64_t first = i * together, c0 = task % channel_blocks * block_channels;
    return {boxes[first], std::min(together, boxes.count() - first), c0,
            std::min(block_channels, g.C - c0)};
  }
  /// What comes next: in this task or, as far as that can be known, in the thread's next one.
  std::optional<Work> work_after(int64_t task, int64_t i) const {
    if (i + 1 < end(task)) return work(task, i + 1);
    const int64_t next = task + threads();
    if (next < tasks()) return work(next, begin(next));
    return std::nullopt;
  }

  const Conv2dShape s;
  const Group g;
  const TapSum sum;
  const Window window;
  const int64_t depth;  // columns of dw
  const bool narrow;    // few channels: taps side by side
  bool in_place;        // x is read where it lies
  bool reads_once;      // dy, too, which no other columns read again
  int64_t block_channels, channel_blocks;
  Boxes boxes;
  int64_t together, works;  // boxes of a work, and how many of these there are
  int64_t splits, at_once;  // outputs whose gradients are copied at once
};

/// Adds a work's products to the split's sums [K, depth], or writes them if they are its first.
/// What the next one reads comes nearer meanwhile.
void add_work(const Cuts& cuts, const Work& work, const std::optional<Work>& next, const float* dy,
              bool first, float* sums) {
  const Conv2dShape& s = cuts.s;
  const Group& g = cuts.g;
  const int64_t at_once = cuts.at_once, depth = cuts.depth;
  const int64_t times = stretches_of(work, std::ssize(cuts.sum.taps) * work.channels, at_once);
  Ahead next_input(next ? region_under(cuts.sum, cuts.window, next->box, next->pictures, next->c0,
                                       next->channels)
                        : Region{},
                   times * ceil_div(g.K, at_once));

  thread_local Scratch block_scratch, taps_scratch, gradient_scratch;
  // Vectors may read beyond the last pixel, into columns that nobody stores.
  Block block = block_under(cuts.sum, cuts.window, work.box, work.pictures, cuts.in_place, work.c0,
                            work.channels, panel_columns, block_scratch);
  Segments segments = segments_of(cuts.sum.taps, cuts.window, work.channels, block);
  if (cuts.narrow) {
    block = with_taps_side_by_side(work.box, block, segments, depth,
                                   taps_scratch.floats(work.pixels() * depth + panel_columns));
    segments.clear();
    segments.push_back({0, depth});
  }
  for (int64_t k = 0; k < g.K; k += at_once) {
    const int64_t outputs = std::min(at_once, g.K - k), left = g.K - k - outputs;
    const Gradients gradients =
        cuts.reads_once ? gradients_in_place(s, g, work, k, outputs, dy)
                        : gradients_copied(s, g, work, k, outputs, dy,
                                           gradient_scratch.floats(work.pixels() * at_once));
    Region soon = {};
    if (left > 0) {
      soon = gradients_under(s, g, work, k + outputs, std::min(at_once, left), dy);
    } else if (next) {
      soon = gradients_under(s, g, *next, 0, std::min(at_once, g.K), dy);
    }
    Ahead next_gradients(soon, times);
    const auto fetch = [&](int64_t) { next_input.fetch(), next_gradients.fetch(); };
    // In dw a tap's columns follow those of all channels of the tap before.
    int64_t place = work.c0;
    for (const Segment& segment : segments) {
      int64_t count = 0;
      for (int64_t t = 0; t < segment.length; t += count) {
        const int64_t c = t % work.channels;
        count =
            std::min(panel_columns, work.channels < g.C ? work.channels - c : segment.length - t);
        const Columns part{place + t / work.channels * g.C + c, segment.offset + t, count};
        with_count<max_vectors>(ceil_div(count, L), [&]<int V>() {
          add_products<V>(work, gradients, outputs, block, part, first, sums + k * depth, depth,
                          fetch);
        });
      }
      place += segment.length / work.channels * g.C;
    }
  }
}

void run_backward_weight(const Conv2dShape& shape, const Group& g, const float* dy, const float* x,
                         float* dw) {
  const Cuts cuts(flattened(shape), g, x);
  const int64_t splits = cuts.splits, size = g.K * cuts.depth;
  thread_local Scratch sums_scratch;
  float* sums = splits > 1 ? sums_scratch.floats(splits * size) : dw + g.w;
  parallel_tasks(cuts.tasks(), [&](int64_t task) {
    const int64_t begin = cuts.begin(task);
    for (int64_t i = begin; i < cuts.end(task); ++i)
      add_work(cuts, cuts.work(task, i), cuts.work_after(task, i), dy, i == begin,
               sums + cuts.split(task) * size);
  });
  if (splits == 1) return;
  parallel_for(size, 4096, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += L) {
      Vec total = load(sums + i, end - i);
      for (int64_t split = 1; split < splits; ++split)
        total = hn::Add(total, load(sums + split * size + i, end - i));
      store(total, dw + g.w + i, end - i);
    }
  });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace fettle
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fettle {

HWY_EXPORT(run_backward_weight);

void backward_weight(const Conv2dShape& shape, const Group& group, const float* dy, const float* x,
                     float* dw) {
  HWY_DYNAMIC_DISPATCH(run_backward_weight)(shape, group, dy, x, dw);
}

}  // namespace fettle
#endif  // HWY_ONCE
