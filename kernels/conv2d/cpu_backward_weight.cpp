// dw[k][t] = sum over pixels of dy(pixel, k) * x(pixel, t), where t runs over taps and channels: a
// matrix product whose rows are outputs, whose columns are taps and channels as they lie in dw, and
// whose depth is all pixels of all pictures.
//
// The input is copied in blocks of a few channels, whose pixels lie close together; every tap reads
// the block from another place on. A first layer with few channels has its taps laid side by side
// instead, so that vectors are full. dy is read in place.
#include "kernels/conv2d/cpu_backward_weight.h"

#include <algorithm>
#include <vector>

#include "kernels/conv2d/cpu_box.h"
#include "kernels/parallel.h"
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

/// Columns of dw that lie together there and in the block.
struct Columns {
  int64_t dw, block, count;
};

/// Adds the box's products to `count` columns of all K rows of dw, or writes them if it is the
/// first.
template <int V>
void add_box(const Conv2dShape& s, const Group& g, const Box& box, const Block& block,
             const Columns& columns, const float* dy, bool first_box, float* dw) {
  const int64_t depth = s.R * s.S * g.C, width = box.q1 - box.q0;
  for_each_tile(g.K, max_rows(V), [&](int64_t k, int64_t rows) {
    with_count<max_rows(V)>(rows, [&]<int M>() {
      Tile<M, V> tile;
      tile.clear();
      const float* gradients = dy + ((box.n * s.P + box.p0) * s.Q + box.q0) * s.K + g.y + k;
      tile.accumulate_runs(box.p1 - box.p0, width, gradients, 1, s.K, s.Q * s.K,
                           block.first + columns.block, block.pixel, block.row);
      float* to = dw + k * depth + columns.dw;
      if (first_box) {
        tile.store(to, depth, columns.count);
      } else {
        tile.add_to(to, depth, columns.count);
      }
    });
  });
}

/// The box's input with all taps of a pixel side by side.
Block with_taps_side_by_side(const Conv2dShape& s, const Box& box, const Block& block,
                             const std::vector<Segment>& segments, int64_t depth, float* to) {
  const int64_t columns = box.q1 - box.q0;
  float* at = to;
  for (int64_t p = 0; p < box.p1 - box.p0; ++p) {
    for (int64_t q = 0; q < columns; ++q) {
      const float* pixel = block.first + p * s.stride_h * block.row + q * s.stride_w * block.pixel;
      for (const Segment& segment : segments) {
        // Whole vectors: what is too much, the next segment writes over.
        for (int64_t t = 0; t < segment.length; t += L)
          hn::StoreU(hn::LoadU(lanes_tag, pixel + segment.offset + t), lanes_tag, at + t);
        at += segment.length;
      }
    }
  }
  return {to, columns * depth, depth};
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

void run_backward_weight(const Conv2dShape& shape, const Group& g, const float* dy, const float* x,
                         float* dw) {
  const Conv2dShape s = flattened(shape);
  const TapSum sum = forward_sum(s, g, x, nullptr, nullptr, Epilogue::linear, nullptr);
  const Window window = window_of(sum.taps);
  const int64_t depth = s.R * s.S * g.C;
  const bool narrow = g.C < L && sum.taps.size() > 1;
  const bool in_place =
      is_in_place(sum, window) && g.C == s.C && g.C % L == 0 && g.C <= panel_columns;
  const int64_t block_channels = std::min(g.C, panel_columns);
  const int64_t channel_blocks = (g.C + block_channels - 1) / block_channels;
  // A block of input that stays in the first cache, or nearly.
  const Boxes boxes = cut(s.N, s.P, s.Q, narrow ? depth : block_channels, s.stride_h, s.stride_w,
                          window, {24 * 1024, 256, window.h > 1 ? 32 : 256});
  // Enough tasks for many cores; each split has its own sums, which are added in order at the end.
  constexpr int64_t tasks_wanted = 16, most_floats = 16 << 20;
  const int64_t splits = std::clamp<int64_t>(
      std::min(tasks_wanted / channel_blocks, most_floats / (g.K * depth)), 1, boxes.count());
  thread_local Scratch sums_scratch;
  float* sums = splits > 1 ? sums_scratch.floats(splits * g.K * depth) : dw + g.w;

  parallel_tasks(splits * channel_blocks, [&](int64_t task) {
    const int64_t split = task / channel_blocks, c0 = task % channel_blocks * block_channels;
    const int64_t channels = std::min(block_channels, g.C - c0);
    const int64_t begin = boxes.count() * split / splits;
    const int64_t end = boxes.count() * (split + 1) / splits;
    thread_local Scratch block_scratch, taps_scratch;
    for (int64_t i = begin; i < end; ++i) {
      const Box box = boxes[i];
      // Vectors may read beyond the last pixel, into columns that nobody stores.
      Block block =
          block_under(sum, window, box, in_place, c0, channels, panel_columns, block_scratch);
      std::vector<Segment> segments = segments_of(sum.taps, window, channels, block);
      if (narrow) {
        float* taps =
            taps_scratch.floats((box.p1 - box.p0) * (box.q1 - box.q0) * depth + panel_columns);
        block = with_taps_side_by_side(s, box, block, segments, depth, taps);
        segments = {{0, depth}};
      } else {
        block.row *= s.stride_h, block.pixel *= s.stride_w;
      }
      // In dw a tap's columns follow those of the tap before, or of all its channels.
      const bool apart = channel_blocks > 1;
      int64_t place = c0;
      for (const Segment& segment : segments) {
        int64_t count = 0;
        for (int64_t t = 0; t < segment.length; t += count) {
          count = std::min(apart ? channels : panel_columns, segment.length - t);
          const Columns part{place, segment.offset + t, count};
          with_count<max_vectors>((count + L - 1) / L, [&]<int V>() {
            add_box<V>(s, g, box, block, part, dy, i == begin, sums + split * g.K * depth);
          });
          place += apart ? g.C : count;
        }
      }
    }
  });

  if (splits == 1) return;
  parallel_for(g.K * depth, 4096, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += L) {
      Vec total = load(sums + i, end - i);
      for (int64_t split = 1; split < splits; ++split)
        total = hn::Add(total, load(sums + split * g.K * depth + i, end - i));
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
