// A matrix product for each group would be a few numbers wide, so vectors run across the groups:
// each lane is a group. Forward, a group has one channel in and K/C out, backward it is the other
// way round. Groups of one channel each are computed in place, row by row, others in planes. The
// cuts and the order of every sum depend on the shape alone.
#include "kernels/conv2d/cpu_depthwise.h"

#include <algorithm>

#include "kernels/conv2d/tap_sum.h"
#include "kernels/divide.h"
#include "kernels/parallel.h"
#include "kernels/scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/conv2d/cpu_depthwise.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "kernels/conv2d/depthwise_planes-inl.h"
#include "kernels/conv2d/depthwise_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fettle {
namespace HWY_NAMESPACE {
namespace {

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
  parallel_tasks(planes.boxes.count(),
                 [&](int64_t task) { box_sum(sum, planes, planes.boxes[task], packed); });
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
