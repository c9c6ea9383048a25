// Convolution on the CPU: an implicit matrix product. Rows are output pixels, columns are output
// channels, the depth is taps times channels.
//
// Forward and backward-input are one kernel, a sum over taps (TapSum): the gradient of the input is
// a convolution of dy with the transposed weights, split into stride_h*stride_w sub-problems, in
// each of which every tap reads dy with step 1. For each box of output pixels the input rows that
// it needs are copied once, with their zero border, into a block that stays in the cache; in it,
// neighbouring taps and their channels are neighbours in memory, so that the register tile runs
// over long contiguous segments. Where there is no border (1x1), the input is read in place.
// Depthwise convolutions go another way (cpu_depthwise.cpp).
//
// The box sizes and the order of every sum depend on the shape alone: any number of threads gives
// the same bits.
#include <algorithm>
#include <vector>

#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/cpu_depthwise.h"
#include "kernels/conv2d/tap_sum.h"
#include "kernels/parallel.h"
#include "kernels/scratch.h"

#ifndef FETTLE_CONV2D_ONCE
#define FETTLE_CONV2D_ONCE
namespace fettle {
namespace {

/// A block of input pixels as the register tile reads it.
struct Block {
  const float* first;  // the pixel under the box's first output pixel, first tap
  int64_t row, pixel;  // floats from a row to the next, from a pixel to the next
};

/// Copies rows [h0, h0+rows) x [w0, w0+columns) of a picture with zeros outside it.
void copy_with_border(const float* picture, int64_t H, int64_t W, int64_t C, int64_t pixel,
                      int64_t h0, int64_t w0, int64_t rows, int64_t columns, float* to) {
  const int64_t left = std::clamp<int64_t>(-w0, 0, columns);
  const int64_t right = std::clamp<int64_t>(W - w0, left, columns);
  for (int64_t h = h0; h < h0 + rows; ++h, to += columns * C) {
    if (h < 0 || h >= H || left == right) {
      std::fill_n(to, columns * C, 0.0f);
      continue;
    }
    std::fill_n(to, left * C, 0.0f);
    const float* from = picture + (h * W + w0 + left) * pixel;
    if (pixel == C) {
      std::copy_n(from, (right - left) * C, to + left * C);
    } else {
      for (int64_t w = left; w < right; ++w, from += pixel) std::copy_n(from, C, to + w * C);
    }
    std::fill_n(to + right * C, (columns - right) * C, 0.0f);
  }
}

/// Contiguous floats of a block that hold the depth of consecutive taps.
struct Segment {
  int64_t offset, length;
};

std::vector<Segment> segments_of(const std::vector<Tap>& taps, const Window& window, int64_t C,
                                 const Block& block) {
  std::vector<Segment> segments;
  const Tap* before = nullptr;
  for (const Tap& tap : taps) {
    const bool adjacent =
        before && before->h == tap.h && before->w + 1 == tap.w && block.pixel == C;
    if (adjacent) {
      segments.back().length += C;
    } else {
      segments.push_back({(tap.h - window.h0) * block.row + (tap.w - window.w0) * block.pixel, C});
    }
    before = &tap;
  }
  return segments;
}

}  // namespace
}  // namespace fettle
#endif  // FETTLE_CONV2D_ONCE

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/conv2d/cpu.cpp"
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
  const Vec zero = hn::Zero(lanes_tag);
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      Vec y = tile.sums[m][v];
      if (out.bias) y = hn::Add(y, hn::LoadU(lanes_tag, out.bias + v * L));
      tile.sums[m][v] = out.relu ? hn::Max(y, zero) : y;
    }
  }
  tile.store(out.first, out.pixel, out.columns);
}

template <int V>
void box_panel(const TapSum& sum, const Box& box, const Block& block,
               const std::vector<Segment>& segments, const float* weights, Target out) {
  const int64_t step = sum.step_w * block.pixel;
  for (int64_t p = box.p0; p < box.p1; ++p) {
    const float* row = block.first + (p - box.p0) * sum.step_h * block.row;
    float* out_row = out.first + box.n * sum.out_picture + p * sum.out_row;
    for_each_tile(box.q1 - box.q0, max_rows(V), [&](int64_t q, int64_t rows) {
      Target target = out;
      target.first = out_row + (box.q0 + q) * sum.out_pixel;
      with_rows<max_rows(V)>(rows, [&]<int M>() {
        pixel_tile<M, V>(row + q * step, step, segments, weights, target);
      });
    });
  }
}

template <int V = max_vectors>
void box_panel_of(int64_t vectors, const TapSum& sum, const Box& box, const Block& block,
                  const std::vector<Segment>& segments, const float* weights, const Target& out) {
  if constexpr (V > 1) {
    if (vectors < V) return box_panel_of<V - 1>(vectors, sum, box, block, segments, weights, out);
  }
  box_panel<V>(sum, box, block, segments, weights, out);
}

int64_t vectors_of_panel(int64_t K, int64_t panel) {
  return std::min<int64_t>(max_vectors, (K - panel * panel_columns + L - 1) / L);
}

/// Weights in the order in which the tile reads them: [panel][tap][channel][columns of the panel],
/// with zeros beyond K. Channels go in blocks that keep both sides of the transposition in the
/// first cache.
void pack_weights(const TapSum& sum, float* packed) {
  constexpr int64_t channel_block = 64;
  const auto taps = static_cast<int64_t>(sum.taps.size());
  const int64_t panels = (sum.K + panel_columns - 1) / panel_columns;
  parallel_tasks(panels * taps, [&](int64_t task) {
    const int64_t tap = task % taps, first = task / taps * panel_columns;
    const int64_t width = vectors_of_panel(sum.K, task / taps) * L;
    const int64_t valid = std::min(width, sum.K - first);
    const float* from = sum.weights + sum.taps[tap].weight + first * sum.column;
    float* to = packed + first * taps * sum.C + tap * sum.C * width;
    for (int64_t c0 = 0; c0 < sum.C; c0 += channel_block) {
      const int64_t c1 = std::min(sum.C, c0 + channel_block);
      if (sum.column == 1) {
        for (int64_t c = c0; c < c1; ++c) std::copy_n(from + c * sum.depth, valid, to + c * width);
      } else {
        for (int64_t k = 0; k < valid; ++k) {
          for (int64_t c = c0; c < c1; ++c) {
            to[c * width + k] = from[c * sum.depth + k * sum.column];
          }
        }
      }
      for (int64_t c = c0; c < c1; ++c) std::fill_n(to + c * width + valid, width - valid, 0.0f);
    }
  });
}

void run_tap_sum(TapSum sum) {
  const Window window = window_of(sum.taps);
  const bool in_place = window.h == 1 && window.w == 1 && window.h0 == 0 && window.w0 == 0 &&
                        (sum.P - 1) * sum.step_h < sum.H && (sum.Q - 1) * sum.step_w < sum.W;
  const bool flat = in_place && sum.step_h == 1 && sum.step_w == 1 && sum.P == sum.H &&
                    sum.Q == sum.W && sum.out_row == sum.Q * sum.out_pixel;
  if (flat) {  // a plain matrix product: one long row of pixels
    sum.Q *= sum.N * sum.P;
    sum.W = sum.Q;
    sum.N = sum.P = sum.H = 1;
  }
  const int64_t depth = static_cast<int64_t>(sum.taps.size()) * sum.C;
  const int64_t panels = (sum.K + panel_columns - 1) / panel_columns;
  const int64_t padded_K = (sum.K + L - 1) / L * L;
  thread_local Scratch packed_scratch, bias_scratch;
  float* packed = packed_scratch.floats(padded_K * std::max<int64_t>(depth, 1));
  pack_weights(sum, packed);
  float* bias = nullptr;
  if (sum.bias) {
    bias = bias_scratch.floats(padded_K);
    std::fill(std::copy_n(sum.bias, sum.K, bias), bias + padded_K, 0.0f);
  }

  const Boxes boxes = cut(sum.N, sum.P, sum.Q, sum.C, sum.step_h, sum.step_w, window);
  parallel_tasks(boxes.count(), [&](int64_t task) {
    const Box box = boxes[task];
    const int64_t h0 = box.p0 * sum.step_h + window.h0, w0 = box.q0 * sum.step_w + window.w0;
    const float* picture = sum.in + box.n * sum.H * sum.W * sum.in_pixel;
    Block block{picture + (h0 * sum.W + w0) * sum.in_pixel, sum.W * sum.in_pixel, sum.in_pixel};
    if (!in_place) {
      const int64_t rows = (box.p1 - box.p0 - 1) * sum.step_h + window.h;
      const int64_t columns = (box.q1 - box.q0 - 1) * sum.step_w + window.w;
      thread_local Scratch scratch;
      float* copy = scratch.floats(rows * columns * sum.C);
      copy_with_border(picture, sum.H, sum.W, sum.C, sum.in_pixel, h0, w0, rows, columns, copy);
      block = {copy, columns * sum.C, sum.C};
    }
    const std::vector<Segment> segments = segments_of(sum.taps, window, sum.C, block);
    for (int64_t panel = 0; panel < panels; ++panel) {
      const int64_t first = panel * panel_columns;
      const Target out{sum.out + first, sum.out_pixel, sum.K - first, bias ? bias + first : nullptr,
                       sum.epilogue == Epilogue::relu};
      box_panel_of(vectors_of_panel(sum.K, panel), sum, box, block, segments,
                   packed + first * depth, out);
    }
  });
}

/// sums[t][k] += sum over the box's pixels of x(pixel, t) * dy(pixel, k), where t runs over the
/// segments: the depth of the forward product is the rows of this one.
template <int V>
void weight_panel(const Conv2dShape& s, const Box& box, const Block& block,
                  const std::vector<Segment>& segments, const float* dy, float* sums) {
  const int64_t columns = box.q1 - box.q0;
  for (const Segment& segment : segments) {
    for_each_tile(segment.length, max_rows(V), [&](int64_t first, int64_t rows) {
      with_rows<max_rows(V)>(rows, [&]<int M>() {
        Tile<M, V> tile;
        tile.clear();
        const float* x = block.first + segment.offset + first;
        for (int64_t p = 0; p < box.p1 - box.p0; ++p) {
          tile.accumulate(columns, x + p * s.stride_h * block.row, 1, s.stride_w * block.pixel,
                          dy + p * columns * V * L, V * L);
        }
        tile.add_to(sums + first * V * L, V * L);
      });
    });
    sums += segment.length * V * L;
  }
}

template <int V = max_vectors>
void weight_panel_of(int64_t vectors, const Conv2dShape& s, const Box& box, const Block& block,
                     const std::vector<Segment>& segments, const float* dy, float* sums) {
  if constexpr (V > 1) {
    if (vectors < V) return weight_panel_of<V - 1>(vectors, s, box, block, segments, dy, sums);
  }
  weight_panel<V>(s, box, block, segments, dy, sums);
}

void run_backward_weight(const Conv2dShape& s, const Group& g, const float* dy, const float* x,
                         float* dw) {
  const TapSum sum = forward_sum(s, g, x, nullptr, nullptr, Epilogue::linear, nullptr);
  const Window window = window_of(sum.taps);
  const Boxes boxes = cut(s.N, s.P, s.Q, g.C, s.stride_h, s.stride_w, window);
  const int64_t depth = s.R * s.S * g.C;
  const int64_t panels = (g.K + panel_columns - 1) / panel_columns;
  const int64_t padded_K = (g.K + L - 1) / L * L;
  // Enough tasks for many cores; each split has its own sums, which are added in order at the end.
  constexpr int64_t tasks_wanted = 16, most_floats = 16 << 20;
  const int64_t splits = std::clamp<int64_t>(
      std::min(tasks_wanted / panels, most_floats / (depth * padded_K)), 1, boxes.count());
  thread_local Scratch sums_scratch;
  float* sums = sums_scratch.floats(splits * depth * padded_K);

  parallel_tasks(splits * panels, [&](int64_t task) {
    const int64_t split = task / panels, first = task % panels * panel_columns;
    const int64_t vectors = vectors_of_panel(g.K, task % panels), width = vectors * L;
    float* mine = sums + split * depth * padded_K + first * depth;
    std::fill_n(mine, depth * width, 0.0f);
    thread_local Scratch x_scratch, dy_scratch;
    for (int64_t i = boxes.count() * split / splits; i < boxes.count() * (split + 1) / splits;
         ++i) {
      const Box box = boxes[i];
      const int64_t rows = (box.p1 - box.p0 - 1) * s.stride_h + window.h;
      const int64_t columns = (box.q1 - box.q0 - 1) * s.stride_w + window.w;
      float* block = x_scratch.floats(rows * columns * g.C);
      copy_with_border(sum.in + box.n * s.H * s.W * s.C, s.H, s.W, g.C, s.C,
                       box.p0 * s.stride_h + window.h0, box.q0 * s.stride_w + window.w0, rows,
                       columns, block);
      const Block x_block{block, columns * g.C, g.C};
      float* gradient = dy_scratch.floats((box.p1 - box.p0) * (box.q1 - box.q0) * width);
      const int64_t valid = std::min(width, g.K - first);
      float* to = gradient;
      for (int64_t p = box.p0; p < box.p1; ++p) {
        for (int64_t q = box.q0; q < box.q1; ++q, to += width) {
          const float* from = dy + ((box.n * s.P + p) * s.Q + q) * s.K + g.y + first;
          std::fill(std::copy_n(from, valid, to), to + width, 0.0f);
        }
      }
      weight_panel_of(vectors, s, box, x_block, segments_of(sum.taps, window, g.C, x_block),
                      gradient, mine);
    }
  });

  parallel_for(g.K, 4, [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k) {
      const int64_t panel = k / panel_columns, width = vectors_of_panel(g.K, panel) * L;
      const float* column = sums + panel * panel_columns * depth + k % panel_columns;
      for (int64_t t = 0; t < depth; ++t) {
        float total = 0.0f;
        for (int64_t split = 0; split < splits; ++split) {
          total += column[split * depth * padded_K + t * width];
        }
        dw[g.w + k * depth + t] = total;
      }
    }
  });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace fettle
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fettle {

HWY_EXPORT(run_tap_sum);
HWY_EXPORT(run_backward_weight);

void conv2d_forward(Cpu, const Conv2dShape& s, const float* x, const float* w, const float* bias,
                    Epilogue epilogue, float* y) {
  if (is_depthwise(s)) return depthwise_forward(s, x, w, bias, epilogue, y);
  for (int64_t g = 0; g < s.groups; ++g) {
    HWY_DYNAMIC_DISPATCH(run_tap_sum)(forward_sum(s, group_of(s, g), x, w, bias, epilogue, y));
  }
}

void conv2d_backward_input(Cpu, const Conv2dShape& s, const float* dy, const float* w, float* dx) {
  if (is_depthwise(s)) return depthwise_backward_input(s, dy, w, dx);
  for (int64_t g = 0; g < s.groups; ++g) {
    for (int64_t h0 = 0; h0 < std::min(s.stride_h, s.H); ++h0) {
      for (int64_t w0 = 0; w0 < std::min(s.stride_w, s.W); ++w0) {
        HWY_DYNAMIC_DISPATCH(run_tap_sum)(backward_input_sum(s, group_of(s, g), h0, w0, dy, w, dx));
      }
    }
  }
}

void conv2d_backward_weight(Cpu, const Conv2dShape& s, const float* dy, const float* x, float* dw) {
  if (is_depthwise(s)) return depthwise_backward_weight(s, dy, x, dw);
  for (int64_t g = 0; g < s.groups; ++g) {
    HWY_DYNAMIC_DISPATCH(run_backward_weight)(s, group_of(s, g), dy, x, dw);
  }
}

}  // namespace fettle
#endif  // HWY_ONCE
