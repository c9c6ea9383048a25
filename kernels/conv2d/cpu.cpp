// Convolution on the CPU. Forward and backward-input are one kernel, a sum over taps (TapSum): the
// gradient of the input is a convolution of dy with the transposed weights, split into
// stride_h*stride_w sub-problems, in each of which every tap reads dy with step 1. Here each sum
// gets the way that suits it:
//
//   cpu_direct.cpp           an implicit matrix product
//   cpu_winograd.cpp         3x3 with stride 1: a quarter of the multiplications
//   cpu_bf16.cpp             as direct, of numbers rounded to bf16
//   cpu_depthwise.cpp        one input channel a group
//   cpu_backward_weight.cpp, cpu_winograd_weight.cpp   the third direction, both ways
//
// The cuts and the order of every sum depend on the shape alone: any number of threads gives the
// same bits.
#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/cpu_backward_weight.h"
#include "kernels/conv2d/cpu_bf16.h"
#include "kernels/conv2d/cpu_depthwise.h"
#include "kernels/conv2d/cpu_direct.h"
#include "kernels/conv2d/cpu_packed.h"
#include "kernels/conv2d/cpu_winograd.h"
#include "kernels/conv2d/cpu_winograd_weight.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/scratch.h"

namespace fettle {
namespace {

Conv2dWay way_of(const TapSum& sum, Precision precision) {
  if (winograd_wins(sum)) return Conv2dWay::winograd;
  return precision == Precision::bf16 && bf16_suits(sum) ? Conv2dWay::bf16 : Conv2dWay::direct;
}

int64_t packed_floats(const TapSum& sum, Conv2dWay way) {
  return way == Conv2dWay::winograd ? winograd_packed_floats(sum)
         : way == Conv2dWay::bf16   ? bf16_packed_floats(sum)
                                    : direct_packed_floats(sum);
}

void pack(const TapSum& sum, Conv2dWay way, float* packed) {
  way == Conv2dWay::winograd ? winograd_pack(sum, packed)
  : way == Conv2dWay::bf16   ? bf16_pack(sum, packed)
                             : direct_pack(sum, packed);
}

void run(const TapSum& sum, Conv2dWay way, const float* packed) {
  way == Conv2dWay::winograd ? winograd_run(sum, packed)
  : way == Conv2dWay::bf16   ? bf16_run(sum, packed)
                             : direct_run(sum, packed);
}

/// The forward sum of one group; `addend` [N,P,Q,K] may be nullptr.
TapSum adding_sum(const Conv2dShape& s, int64_t g, const float* x, const float* w,
                  const float* bias, const float* addend, Epilogue epilogue, float* y) {
  const Group group = group_of(s, g);
  TapSum sum = forward_sum(s, group, x, w, bias, epilogue, y);
  if (addend) sum.addend = addend + group.y;
  return sum;
}

void pack_and_run(const TapSum& sum) {
  const Conv2dWay way = way_of(sum, Precision::fp32);
  if (way == Conv2dWay::winograd) return winograd_pack_and_run(sum);
  thread_local Scratch scratch;
  float* packed = scratch.floats(packed_floats(sum, way));
  pack(sum, way, packed);
  run(sum, way, packed);
}

/// What a depthwise convolution computes by f(out), with `addend` and the epilogue after it.
template <class F>
void then_add(int64_t size, const float* addend, Epilogue epilogue, float* out, const F& f) {
  thread_local Scratch scratch;
  float* part = scratch.floats(size);
  f(part);
  add(Cpu{}, size, addend, part, out);
  if (epilogue == Epilogue::relu) unary_forward(Cpu{}, Unary::relu, size, out, out);
}

}  // namespace

void conv2d_forward(Cpu, const Conv2dShape& s, const float* x, const float* w, const float* bias,
                    Epilogue epilogue, float* y, const float* addend) {
  if (!is_depthwise(s)) {
    for (int64_t g = 0; g < s.groups; ++g)
      pack_and_run(adding_sum(s, g, x, w, bias, addend, epilogue, y));
  } else if (!addend) {
    depthwise_forward(s, x, w, bias, epilogue, y);
  } else {
    then_add(s.N * s.P * s.Q * s.K, addend, epilogue, y,
             [&](float* part) { depthwise_forward(s, x, w, bias, Epilogue::linear, part); });
  }
}

void conv2d_backward_input(Cpu, const Conv2dShape& s, const float* dy, const float* w, float* dx,
                           const float* addend) {
  if (!is_depthwise(s)) {
    for (int64_t g = 0; g < s.groups; ++g)
      for (int64_t h0 = 0; h0 < std::min(s.stride_h, s.H); ++h0)
        for (int64_t w0 = 0; w0 < std::min(s.stride_w, s.W); ++w0) {
          TapSum sum = backward_input_sum(s, group_of(s, g), h0, w0, dy, w, dx);
          if (addend) sum.addend = addend + (sum.out - dx);
          pack_and_run(sum);
        }
  } else if (!addend) {
    depthwise_backward_input(s, dy, w, dx);
  } else {
    then_add(s.N * s.H * s.W * s.C, addend, Epilogue::linear, dx,
             [&](float* part) { depthwise_backward_input(s, dy, w, part); });
  }
}

void conv2d_backward_weight(Cpu, const Conv2dShape& s, const float* dy, const float* x, float* dw) {
  if (is_depthwise(s)) return depthwise_backward_weight(s, dy, x, dw);
  for (int64_t g = 0; g < s.groups; ++g) {
    const Group group = group_of(s, g);
    const TapSum forward = forward_sum(s, group, x, nullptr, nullptr, Epilogue::linear, nullptr);
    if (winograd_weight_wins(forward)) {
      winograd_backward_weight(s, group, forward, dy, dw);
    } else {
      backward_weight(s, group, dy, x, dw);
    }
  }
}

namespace {

/// What one group's sum needs to know before there are any pixels.
TapSum sum_of_weights(const Conv2dShape& s, int64_t g, const float* w) {
  return forward_sum(s, group_of(s, g), nullptr, w, nullptr, Epilogue::linear, nullptr);
}

}  // namespace

bool cpu_has_bf16() {
  return has_bf16();
}

int64_t conv2d_packed_floats(const Conv2dShape& s, Precision precision) {
  if (is_depthwise(s)) return 0;
  const TapSum sum = sum_of_weights(s, 0, nullptr);
  return s.groups * packed_floats(sum, way_of(sum, precision));
}

void conv2d_pack(const Conv2dShape& s, Precision precision, const float* w, float* packed) {
  if (is_depthwise(s)) return;
  for (int64_t g = 0; g < s.groups; ++g) {
    const TapSum sum = sum_of_weights(s, g, w);
    const Conv2dWay way = way_of(sum, precision);
    pack(sum, way, packed + g * packed_floats(sum, way));
  }
}

void conv2d_forward_packed(const Conv2dShape& s, Precision precision, const float* x,
                           const float* packed, const float* bias, const float* addend,
                           Epilogue epilogue, float* y) {
  for (int64_t g = 0; g < s.groups; ++g) {
    const TapSum sum = adding_sum(s, g, x, nullptr, bias, addend, epilogue, y);
    const Conv2dWay way = way_of(sum, precision);
    run(sum, way, packed + g * packed_floats(sum, way));
  }
}

Conv2dMemory conv2d_memory(const Conv2dShape& s, Precision precision, bool packed) {
  if (is_depthwise(s))
    return {Conv2dWay::depthwise, depthwise_caller_floats(s), depthwise_thread_floats(s)};
  const TapSum sum = sum_of_weights(s, 0, nullptr);
  Conv2dMemory memory{way_of(sum, packed ? precision : Precision::fp32), 0, 0};
  switch (memory.way) {
    case Conv2dWay::winograd:
      memory.caller = winograd_caller_floats(sum), memory.thread = winograd_thread_floats(sum);
      break;
    case Conv2dWay::bf16:
      memory.thread = bf16_thread_floats(sum);
      break;
    default:
      memory.caller = direct_caller_floats(sum), memory.thread = direct_thread_floats(sum);
  }
  if (!packed) memory.caller += packed_floats(sum, memory.way);
  return memory;
}

}  // namespace fettle
