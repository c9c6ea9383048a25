#include "kernels/conv2d/conv2d.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/conv2d/cpu_packed.h"
#include "tests/cases/conv2d.h"
#include "tests/kernel_check.h"

namespace fettle {
namespace {

struct Inputs {
  explicit Inputs(const Conv2dShape& s)
      : x(random_values(s.N * s.H * s.W * s.C, 1)),
        w(random_values(s.K * s.R * s.S * (s.C / s.groups), 2)),
        bias(random_values(s.K, 3)),
        dy(random_values(s.N * s.P * s.Q * s.K, 4)) {}
  Array<> x, w, bias, dy;
};

/// Every direction, into memory that held NaN.
template <class Device>
Arrays all_directions(Device device, const Conv2dShape& s, const Inputs& a) {
  Array<> linear(a.dy.size(), NAN), relu(a.dy.size(), NAN), dx(a.x.size(), NAN),
      dw(a.w.size(), NAN);
  conv2d_forward(device, s, a.x.data(), a.w.data(), nullptr, Epilogue::linear, linear.data());
  conv2d_forward(device, s, a.x.data(), a.w.data(), a.bias.data(), Epilogue::relu, relu.data());
  conv2d_backward_input(device, s, a.dy.data(), a.w.data(), dx.data());
  conv2d_backward_weight(device, s, a.dy.data(), a.x.data(), dw.data());
  return {linear, relu, dx, dw};
}

/// Winograd's sums are coarser.
double tolerance_of(const Conv2dShape& s) {
  const bool winograd = s.R == 3 && s.S == 3 && s.stride_h == 1 && s.stride_w == 1 &&
                        s.dilation_h == 1 && s.dilation_w == 1;
  return winograd ? 1e-5 : 1e-6;
}

Array<> rounded_to_bf16(const Array<>& values) {
  Array<> rounded(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const float unit = std::ldexp(1.0f, std::ilogb(values[i]) - 7);  // of the eighth bit
    rounded[i] = values[i] == 0 ? 0 : std::nearbyint(values[i] / unit) * unit;
  }
  return rounded;
}

class Conv2dKernel : public testing::TestWithParam<Conv2dCase> {};

TEST_P(Conv2dKernel, EqualsTheDefinitionWithAnyNumberOfThreads) {
  const Conv2dShape& s = GetParam().shape;
  const Inputs inputs(s);
  expect_same([&](auto device) { return all_directions(device, s, inputs); }, GetParam().name,
              tolerance_of(s));
}

/// A residual added in the same pass, over the residual itself; with weights packed once, as by a
/// network that only predicts.
TEST_P(Conv2dKernel, AddsAResidual) {
  const Conv2dShape& s = GetParam().shape;
  const Inputs inputs(s);
  const auto add_to = [&](auto device) {
    Array<> y = inputs.dy;
    conv2d_forward(device, s, inputs.x.data(), inputs.w.data(), inputs.bias.data(), Epilogue::relu,
                   y.data(), y.data());
    return y;
  };
  const Array<> sums = add_to(Reference{}), unpacked = add_to(Cpu{});
  expect_close({unpacked}, {sums}, GetParam().name, tolerance_of(s));
  const int64_t packed_floats = conv2d_packed_floats(s, Precision::fp32);
  if (packed_floats == 0) return;  // depthwise: its weights are read in place
  Array<> packed(static_cast<size_t>(packed_floats), NAN), y = inputs.dy;
  conv2d_pack(s, Precision::fp32, inputs.w.data(), packed.data());
  conv2d_forward_packed(s, Precision::fp32, inputs.x.data(), packed.data(), inputs.bias.data(),
                        y.data(), Epilogue::relu, y.data());
  EXPECT_TRUE(unpacked == y);
}

/// As of a picture that several operations read.
TEST_P(Conv2dKernel, AddsTheInputsGradientToAnother) {
  const Conv2dShape& s = GetParam().shape;
  const Inputs inputs(s);
  const auto add_to = [&](auto device) {
    Array<> dx = inputs.x;
    conv2d_backward_input(device, s, inputs.dy.data(), inputs.w.data(), dx.data(), dx.data());
    return dx;
  };
  expect_close({add_to(Cpu{})}, {add_to(Reference{})}, GetParam().name, tolerance_of(s));
}

/// All directions on the CPU: the same bits with several threads, and what is defined.
void expect_the_definition(const Conv2dCase& c, double tolerance) {
  const Inputs inputs(c.shape);
  set_threads(1);
  const Arrays one = all_directions(Cpu{}, c.shape, inputs);
  set_threads(3);
  EXPECT_TRUE(all_directions(Cpu{}, c.shape, inputs) == one) << c.name;
  set_threads(0);
  expect_close(one, all_directions(Reference{}, c.shape, inputs), c.name, tolerance);
}

INSTANTIATE_TEST_SUITE_P(Cases, Conv2dKernel, testing::ValuesIn(conv2d_cases()),
                         [](const auto& info) { return info.param.name; });

/// Pictures and channels of all remainders, from one block of tiles to many.
TEST(Conv2dKernelFuzzed, Winograd) {
  Pick pick(5);
  for (int i = 0; i < 24; ++i) {
    const int64_t most = i % 4 == 3 ? 70 : 24;
    Conv2dShape s = {.N = pick(1, 2),
                     .H = pick(9, most),
                     .W = pick(9, most),
                     .C = pick(16, 50),
                     .K = pick(16, 90),
                     .R = 3,
                     .S = 3};
    if (i == 0) s.N = 2, s.H = 97, s.W = 94, s.C = 17, s.K = 35;  // the weights' sums in parts
    if (i == 1) s.N = 2, s.H = 69, s.W = 70, s.C = 40, s.K = 50;  // their chunks one by one
    if (i == 2) s.N = 4, s.H = 7, s.W = 8, s.C = 395, s.K = 330;  // weights transformed by panels
    s.pad_top = pick(0, 2), s.pad_left = pick(0, 2);
    const Conv2dCase c = conv2d_case("fuzzed " + std::to_string(i), s, pick(0, 2), pick(0, 2));
    EXPECT_EQ(conv2d_memory(c.shape, Precision::fp32, true).way, Conv2dWay::winograd);
    expect_the_definition(c, 1e-5);
  }
}

/// One tap and many channels: blocks of several panels, pixels left out, boxes in several splits,
/// and sums too large for splits.
TEST(Conv2dKernelFuzzed, Pointwise) {
  Pick pick(6);
  for (int i = 0; i < 12; ++i) {
    const int64_t groups = pick(1, 4) == 1 ? 2 : 1;
    Conv2dShape s = {.N = pick(1, 3),
                     .H = pick(1, 20),
                     .W = pick(1, 20),
                     .C = groups * pick(33, 330),
                     .K = groups * pick(1, 150),
                     .stride_h = pick(1, 3),
                     .stride_w = pick(1, 3),
                     .groups = groups};
    if (i == 0) s = {.N = 1, .H = 3, .W = 4, .C = 1030, .K = 1100};
    const Conv2dCase c = conv2d_case("fuzzed " + std::to_string(i), s, 0, 0);
    expect_the_definition(c, 1e-6);
  }
}

/// Many small pictures, whose products the weights' gradient forms together, in whole groups and in
/// one with fewer.
TEST(Conv2dKernelFuzzed, SmallPictures) {
  Pick pick(8);
  for (int i = 0; i < 24; ++i) {
    Conv2dShape s = {.N = pick(2, 45),
                     .H = pick(2, 9),
                     .W = pick(2, 9),
                     .C = pick(16, 80),
                     .K = pick(1, 90),
                     .R = pick(1, 3),
                     .S = pick(1, 3),
                     .stride_h = pick(1, 3),
                     .stride_w = pick(2, 3)};
    if (i % 4 == 0) s.R = s.S = 1;
    if (i % 8 == 0) s.C = 32;  // read in place
    s.pad_top = pick(0, s.R - 1), s.pad_left = pick(0, s.S - 1);
    const Conv2dCase c = conv2d_case("fuzzed " + std::to_string(i), s, s.R - 1, s.S - 1);
    expect_the_definition(c, 1e-6);
  }
}

/// The products of rounded numbers, summed in fp32, with kernels, strides and borders of all kinds.
TEST(Conv2dKernelFuzzed, Bf16) {
  if (!cpu_has_bf16()) GTEST_SKIP() << "this processor does not multiply bf16";
  Pick pick(7);
  for (int i = 0; i < 60; ++i) {
    const int64_t groups = pick(1, 8) == 1 ? 2 : 1;
    Conv2dShape s = {.N = pick(1, 2),
                     .H = pick(1, 20),
                     .W = pick(1, 70),
                     .C = 2 * groups * pick(1, 40),
                     .K = groups * pick(1, 150),
                     .R = pick(1, 4),
                     .S = pick(1, 4),
                     .stride_h = pick(1, 3),
                     .stride_w = pick(1, 3),
                     .dilation_h = pick(1, 2),
                     .dilation_w = pick(1, 2),
                     .groups = groups};
    if (i % 3 == 0) s.R = s.S = 1;  // read where they are, or a plain matrix product
    if (i % 6 == 0) s.stride_h = s.stride_w = 1;
    s.pad_top = i % 3 == 0 ? 0 : pick(0, s.R * s.dilation_h);
    s.pad_left = i % 3 == 0 ? 0 : pick(0, s.S * s.dilation_w);
    const Conv2dCase c =
        conv2d_case("fuzzed " + std::to_string(i), s, i % 3 == 0 ? 0 : s.R * s.dilation_h,
                    i % 3 == 0 ? 0 : pick(s.S * s.dilation_w, s.S * s.dilation_w + 3));
    if (conv2d_memory(c.shape, Precision::bf16, true).way != Conv2dWay::bf16) continue;
    const Inputs inputs(c.shape);
    const Array<> x = rounded_to_bf16(inputs.x), w = rounded_to_bf16(inputs.w);
    Array<> sums(inputs.dy.size());
    conv2d_forward(Reference{}, c.shape, x.data(), w.data(), inputs.bias.data(), Epilogue::linear,
                   sums.data());
    for (size_t j = 0; j < sums.size(); ++j) sums[j] = std::max(0.0f, sums[j] + inputs.dy[j]);
    Array<> packed(static_cast<size_t>(conv2d_packed_floats(c.shape, Precision::bf16)), NAN);
    conv2d_pack(c.shape, Precision::bf16, inputs.w.data(), packed.data());
    for (const int threads : {1, 3}) {
      set_threads(threads);
      Array<> y = inputs.dy;
      conv2d_forward_packed(c.shape, Precision::bf16, inputs.x.data(), packed.data(),
                            inputs.bias.data(), y.data(), Epilogue::relu, y.data());
      expect_close({y}, {sums}, c.name, 1e-6);
    }
    set_threads(0);
  }
}

/// Kernels, strides and borders that meet in ways that no case above names.
TEST(Conv2dKernelFuzzed, Depthwise) {
  Pick pick(11);
  for (int i = 0; i < 40; ++i) {
    const int64_t groups = i % 5 == 0 ? pick(65, 150) : pick(2, 40);  // blocks of channels, or one
    Conv2dShape s = {.N = pick(1, 2),
                     .H = pick(1, 12),
                     .W = pick(1, 25),
                     .C = groups,
                     .K = groups * (i % 4 == 3 ? pick(2, 3) : 1),
                     .R = pick(1, 4),
                     .S = pick(1, 5),
                     .stride_h = pick(1, 3),
                     .stride_w = pick(1, 3),
                     .dilation_h = pick(1, 3),
                     .dilation_w = pick(1, 2),
                     .groups = groups};
    s.pad_top = pick(0, s.R * s.dilation_h);
    s.pad_left = pick(0, s.S * s.dilation_w);
    const Conv2dCase c = conv2d_case("fuzzed " + std::to_string(i), s, s.R * s.dilation_h,
                                     pick(s.S * s.dilation_w, s.S * s.dilation_w + 3));
    const Inputs inputs(c.shape);
    expect_same([&](auto device) { return all_directions(device, c.shape, inputs); }, c.name);
  }
}

/// Rows of three taps, which load each pixel once, with and without a border on either side.
TEST(Conv2dKernelFuzzed, DepthwiseByThreeTaps) {
  Pick pick(12);
  for (int i = 0; i < 100; ++i) {
    const int64_t groups = i % 4 == 0 ? pick(65, 150) : pick(2, 40);
    Conv2dShape s = {.N = pick(1, 3),
                     .H = pick(1, 9),
                     .W = i < 50 ? pick(1, 3) : pick(3, 30),
                     .C = groups,
                     .K = groups,
                     .R = pick(1, 4),
                     .S = 3,
                     .stride_h = pick(1, 2),
                     .stride_w = pick(1, 2),
                     .dilation_h = pick(1, 2),
                     .groups = groups};
    s.pad_top = pick(0, s.R * s.dilation_h), s.pad_left = pick(0, 1);
    const int64_t right = pick(std::max<int64_t>(0, 3 - s.W - s.pad_left), 2);
    const Conv2dCase c = conv2d_case("fuzzed " + std::to_string(i), s, s.R * s.dilation_h, right);
    const Inputs inputs(c.shape);
    expect_same([&](auto device) { return all_directions(device, c.shape, inputs); }, c.name);
  }
}

}  // namespace
}  // namespace fettle
