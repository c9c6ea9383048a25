// A matrix product for each group would be a few numbers wide, so vectors run across the groups:
// each lane is a group. Forward, a group has one channel in and K/C out, backward it is the other
// way round; one kernel takes any number of both.
//
// For each box of output pixels the input that it needs is copied once into planes, one vector a
// pixel, with its zero border and zeros in the lanes past the last group, so that the loops over
// them have no special cases. The box sizes and the order of every sum depend on the shape alone.
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

constexpr int max_pixels = 8;  // sums of a tile of pixels
constexpr int max_taps = 9;    // sums of a tile of taps: all of 3x3

/// Lane i is p[i*step] for i < count, else 0.
HWY_INLINE Vec load_strided(const float* p, int64_t step, int64_t count) {
  if (HWY_LIKELY(step == 1)) return load(p, count);
  alignas(64) float lanes[L] = {};
  for (int64_t i = 0; i < std::min(L, count); ++i) lanes[i] = p[i * step];
  return hn::Load(lanes_tag, lanes);
}

/// p[i*step] = lane i for i < count.
HWY_INLINE void store_strided(Vec v, float* p, int64_t step, int64_t count) {
  if (HWY_LIKELY(step == 1)) return store(v, p, count);
  alignas(64) float lanes[L];
  hn::Store(v, lanes_tag, lanes);
  for (int64_t i = 0; i < std::min(L, count); ++i) p[i * step] = lanes[i];
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
  int64_t row, plane;            // floats from a row and from a plane to the next
  std::vector<int64_t> offsets;  // from a pixel to the terms of its sum: [tap][channel of a group]
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

/// Weights as the tiles read them: [vector of groups][output of a group][depth][L].
void pack_weights(const TapSum& sum, const Planes& planes, int64_t group_weights, float* packed) {
  parallel_tasks(planes.vectors * sum.K, [&](int64_t task) {
    const int64_t g = task / sum.K * L, k = task % sum.K;
    float* to = packed + task * planes.depth() * L;
    for (const Tap& tap : sum.taps) {
      for (int64_t c = 0; c < sum.C; ++c, to += L) {
        const float* from =
            sum.weights + g * group_weights + tap.weight + c * sum.depth + k * sum.column;
        hn::Store(load_strided(from, group_weights, planes.groups - g), lanes_tag, to);
      }
    }
  });
}

/// One output of each group in a vector, of M pixels.
template <int M>
HWY_INLINE void pixel_tile(const TapSum& sum, const std::vector<int64_t>& offsets, const float* in,
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

/// `sum` is that of the first group. The others' channels and weights follow its own,
/// `group_weights` floats a group.
void sum_across_groups(const TapSum& sum, int64_t groups, int64_t group_weights) {
  const Planes planes(sum, groups);
  thread_local Scratch scratch;
  float* const packed =
      scratch.floats(std::max<int64_t>(1, planes.depth()) * planes.vectors * L * sum.K);
  pack_weights(sum, planes, group_weights, packed);
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

/// The gradient of all groups' weights, where `sum` is the forward sum of the first group.
void weight_across_groups(const TapSum& sum, int64_t groups, const float* dy, float* dw) {
  const Planes planes(sum, groups);
  const int64_t depth = planes.depth(), pairs = planes.vectors * sum.K;
  // Each split has its own sums, [vector of groups][output of a group][depth][L].
  constexpr int64_t most_splits = 16;
  const int64_t count = planes.boxes.count(), splits = std::min(most_splits, count);
  thread_local Scratch scratch;
  float* const sums = scratch.floats(splits * pairs * depth * L);
  parallel_tasks(splits, [&](int64_t split) {
    float* const mine = sums + split * pairs * depth * L;
    std::fill_n(mine, pairs * depth * L, 0.0f);
    for (int64_t b = count * split / splits; b < count * (split + 1) / splits; ++b) {
      const Box box = planes.boxes[b];
      const float* in = copy_planes(sum, planes, box);
      for (int64_t i = 0; i < pairs; ++i) {
        const int64_t v = i / sum.K;
        for_each_tile(depth, max_taps, [&](int64_t first, int64_t terms) {
          with_count<max_taps>(terms, [&]<int M>() {
            tap_tile<M>(sum, planes, box, in + v * planes.plane, planes.offsets.data() + first,
                        dy + v * L * sum.K + i % sum.K, groups - v * L,
                        mine + (i * depth + first) * L);
          });
        });
      }
    }
  });
  parallel_tasks(pairs, [&](int64_t i) {
    const int64_t first = i / sum.K * L, k = first * sum.K + i % sum.K;
    for (int64_t t = 0; t < depth; ++t) {
      Vec total = hn::Zero(lanes_tag);
      for (int64_t split = 0; split < splits; ++split) {
        const float* part = sums + ((split * pairs + i) * depth + t) * L;
        total = hn::Add(total, hn::Load(lanes_tag, part));
      }
      store_strided(total, dw + k * depth + t, sum.K * depth, groups - first);
    }
  });
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
  return s.R * s.S * (s.C + most_columns) * (s.K / s.C);
}

int64_t depthwise_thread_floats(const Conv2dShape& s) {
  const TapSum sum =
      forward_sum(s, group_of(s, 0), nullptr, nullptr, nullptr, Epilogue::linear, nullptr);
  constexpr int64_t most_columns = 64;
  return most_block_floats(window_of(sum.taps), s.stride_w, most_columns);
}

}  // namespace fettle
#endif  // HWY_ONCE
