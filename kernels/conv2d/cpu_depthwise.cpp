// A matrix product for each group would be a few numbers wide, so vectors run across the groups:
// each lane is a group. Forward, a group has one channel in and K/C out, backward it is the other
// way round. Groups of one channel each and with narrow rows of taps are computed in place, others
// in planes. The cuts and the order of every sum depend on the shape alone.
#include "kernels/conv2d/cpu_depthwise.h"

#include <algorithm>
#include <span>
#include <vector>

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

/// Weights as the tiles of planes read them: [vector of groups][output of a group][depth][L].
void pack_weights(const TapSum& sum, int64_t groups, int64_t group_weights, float* packed) {
  for (int64_t g = 0; g < groups; g += L) {
    const int64_t count = std::min(L, groups - g);
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

/// The sums of all groups, of which `sums` are those of the first. The others' channels and weights
/// follow its own, `group_weights` floats a group.
void sums_across_groups(std::span<const TapSum> sums, int64_t groups, int64_t group_weights) {
  if (std::ranges::all_of(sums, has_narrow_rows)) return sums_in_place(sums, groups, group_weights);
  for (const TapSum& sum : sums) {
    const Planes planes(sum, groups);
    thread_local Scratch scratch;
    float* const packed = scratch.floats(planes.depth() * planes.vectors * L * sum.K);
    pack_weights(sum, groups, group_weights, packed);
    parallel_tasks(planes.boxes.count(),
                   [&](int64_t task) { box_sum(sum, planes, planes.boxes[task], packed); });
  }
}

/// The weights' gradient by planes. Some boxes after one another form a split, with sums
/// [vector of groups][output of a group][depth][L] of its own.
void weight_by_planes(const TapSum& sum, int64_t groups, const float* dy, float* dw) {
  constexpr int64_t most_splits = 16;
  const Planes planes(sum, groups);
  const int64_t depth = planes.depth(), boxes = planes.boxes.count();
  const int64_t split_floats = planes.vectors * sum.K * depth * L;
  const int64_t splits = std::clamp<int64_t>(boxes, 1, most_splits);
  thread_local Scratch scratch;
  float* const sums = scratch.floats(splits * split_floats);
  parallel_tasks(splits, [&](int64_t split) {
    float* const mine = sums + split * split_floats;
    std::fill_n(mine, split_floats, 0.0f);
    for (int64_t box = boxes * split / splits; box < boxes * (split + 1) / splits; ++box)
      box_weight(sum, planes, planes.boxes[box], dy, mine);
  });
  parallel_tasks(planes.vectors * sum.K, [&](int64_t i) {
    const int64_t first = i / sum.K * L, k = first * sum.K + i % sum.K;
    for (int64_t t = 0; t < depth; ++t) {
      Vec total = hn::Zero(lanes_tag);
      for (int64_t split = 0; split < splits; ++split) {
        const float* part = sums + split * split_floats + (i * depth + t) * L;
        total = hn::Add(total, hn::Load(lanes_tag, part));
      }
      store_strided(total, dw + k * depth + t, sum.K * depth, groups - first);
    }
  });
}

/// The gradient of all groups' weights, where `sum` is the forward sum of the first group.
void weight_across_groups(const TapSum& sum, int64_t groups, const float* dy, float* dw) {
  const bool in_place = has_narrow_rows(sum) && columns_of(sum.taps) == 3;
  (in_place ? weight_in_place : weight_by_planes)(sum, groups, dy, dw);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace fettle
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fettle {

HWY_EXPORT(sums_across_groups);
HWY_EXPORT(weight_across_groups);

namespace {

int64_t weights_of_group(const Conv2dShape& s) {
  return s.R * s.S * (s.C / s.groups) * (s.K / s.groups);
}

/// The forward sum of one group, without any pixels.
TapSum sum_of_shape(const Conv2dShape& s) {
  return forward_sum(s, group_of(s, 0), nullptr, nullptr, nullptr, Epilogue::linear, nullptr);
}

}  // namespace

bool is_depthwise(const Conv2dShape& s) {
  return s.groups == s.C && s.groups > s.K / s.groups;
}

void depthwise_forward(const Conv2dShape& s, const float* x, const float* w, const float* bias,
                       Epilogue epilogue, float* y) {
  const TapSum sum = forward_sum(s, group_of(s, 0), x, w, bias, epilogue, y);
  const auto compute = HWY_DYNAMIC_DISPATCH(sums_across_groups);
  compute({&sum, 1}, s.groups, weights_of_group(s));
}

void depthwise_backward_input(const Conv2dShape& s, const float* dy, const float* w, float* dx) {
  thread_local std::vector<TapSum> phases;
  phases.clear();
  for (int64_t h0 = 0; h0 < std::min(s.stride_h, s.H); ++h0)
    for (int64_t w0 = 0; w0 < std::min(s.stride_w, s.W); ++w0)
      phases.push_back(backward_input_sum(s, group_of(s, 0), h0, w0, dy, w, dx));
  const auto compute = HWY_DYNAMIC_DISPATCH(sums_across_groups);
  compute(phases, s.groups, weights_of_group(s));
}

void depthwise_backward_weight(const Conv2dShape& s, const float* dy, const float* x, float* dw) {
  const auto compute = HWY_DYNAMIC_DISPATCH(weight_across_groups);
  compute(forward_sum(s, group_of(s, 0), x, nullptr, nullptr, Epilogue::linear, nullptr), s.groups,
          dy, dw);
}

int64_t depthwise_caller_floats(const Conv2dShape& s) {
  constexpr int64_t most_columns = 64;
  return has_narrow_rows(sum_of_shape(s)) ? 0 : s.R * s.S * (s.C + most_columns) * (s.K / s.C);
}

int64_t depthwise_thread_floats(const Conv2dShape& s) {
  constexpr int64_t most_columns = 64;
  const TapSum sum = sum_of_shape(s);
  if (has_narrow_rows(sum)) return 2 * (s.R * s.S + 1) * (s.C + most_columns);  // weights alone
  return most_block_floats(window_of(sum.taps), s.stride_w, most_columns);
}

}  // namespace fettle
#endif  // HWY_ONCE
