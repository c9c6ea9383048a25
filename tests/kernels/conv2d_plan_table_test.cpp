// Plans that replace those of plan_conv2d: as lines of text, and as what computes.
#include <gtest/gtest.h>

#include "kernels/conv2d/plan_table.h"
#include "tests/cases/conv2d.h"
#include "tests/kernel_check.h"

namespace fettle {
namespace {

constexpr auto forward = Conv2dDirection::forward;
constexpr auto backward_weight = Conv2dDirection::backward_weight;

/// Leaves the process as it was.
struct PlanTable : testing::Test {
  void TearDown() override {
    clear_known_conv2d_plans();
    set_conv2d_tuning(false);
    set_gpu_precision(Precision::fp32);
  }
};

const std::string line =
    "forward N2 H8 W9 C16 K8 R3 S3 P8 Q9 stride 1x1 dilation 1x1 pad 1+1 groups 1 fp32: ";

TEST_F(PlanTable, EveryPlanComesBackFromItsLine) {
  for (const Conv2dCase& c : conv2d_cases()) {
    for (const auto direction : {forward, Conv2dDirection::backward_input, backward_weight}) {
      for (const Conv2dPlan& plan : all_conv2d_plans(direction, c.shape, 90)) {
        clear_known_conv2d_plans();
        set_known_conv2d_plan(direction, c.shape, plan.precision, plan);
        const auto lines = known_conv2d_plan_lines();
        ASSERT_EQ(lines.size(), 1u);
        clear_known_conv2d_plans();
        EXPECT_FALSE(known_conv2d_plan(direction, c.shape, plan.precision));
        ASSERT_TRUE(read_known_conv2d_plan(lines[0], 90)) << lines[0];
        const auto found = known_conv2d_plan(direction, c.shape, plan.precision);
        ASSERT_TRUE(found) << lines[0];
        EXPECT_EQ(to_string(*found), to_string(plan)) << lines[0];
        EXPECT_EQ(found->tile, plan.tile) << lines[0];
      }
    }
  }
}

TEST_F(PlanTable, WhatIsNoPlanIsRefused) {
  EXPECT_TRUE(read_known_conv2d_plan(line + "implicit_gemm fp32 64x32 in 2 splits", 90));
  clear_known_conv2d_plans();
  const auto of = [](const std::string& direction, const std::string& extents,
                     const std::string& rest) {
    return direction + " " + extents + " C16 K8 R3 S3 P8 Q9 stride " + rest + ": direct";
  };
  const std::string rest = "1x1 dilation 1x1 pad 1+1 groups 1 fp32", extents = "N2 H8 W9";
  ASSERT_EQ(of("forward", extents, rest), line + "direct");
  const std::vector<std::string> all = {
      "",
      "forward",
      line,
      line + "implicit_gemm fp32 64x33",
      line + "implicit_gemm fp32 64x32 in 0 splits",
      line + "implicit_gemm fp32 64x32 in 1 splits",
      line + "implicit_gemm fp32 64x32 in 257 splits",
      line + "implicit_gemm fp32 64x32 ",
      " " + line + "direct",
      line + "multistage bf16 64x64",  // takes other tensors
      of("sideways", extents, rest),
      of("forward", "N0 H8 W9", rest),
      of("forward", "N999999999 H999999999 W999999999", rest),
      of("forward", extents, "1x0 dilation 1x1 pad 1+1 groups 1 fp32"),
      of("forward", extents, "1x1 dilation 1x1 pad 1+1 groups 3 fp32"),
      of("forward", extents, "1x1 dilation 1x1 pad 1+1 groups 1 fp8")};
  for (const std::string& wrong : all) EXPECT_FALSE(read_known_conv2d_plan(wrong, 90)) << wrong;
  // Another GPU cannot.
  EXPECT_FALSE(read_known_conv2d_plan(line + "tensor_core tf32 64x32", 75));
  EXPECT_TRUE(known_conv2d_plan_lines().empty());
}

TEST_F(PlanTable, WhatIsTimedHasThePrecisionAndTheChosenPlanFirst) {
  const Conv2dShape s = conv2d_cases()[0].shape;
  const Conv2dPlan chosen = {Conv2dRung::multistage, Precision::bf16, 1, 8};
  const auto plans = conv2d_plans_to_time(backward_weight, s, Precision::bf16, chosen, 80);
  EXPECT_EQ(to_string(plans[0]), to_string(chosen));
  EXPECT_GE(plans.size(), 8u);  // two tiles, several splits
  for (const Conv2dPlan& plan : plans) EXPECT_EQ(plan.precision, Precision::bf16);
}

#if defined(FETTLE_CUDA)

struct Layer {
  Conv2dShape s = {.N = 2,
                   .H = 8,
                   .W = 9,
                   .C = 16,
                   .K = 8,
                   .R = 3,
                   .S = 3,
                   .P = 8,
                   .Q = 9,
                   .pad_top = 1,
                   .pad_left = 1};
  Array<> x = random_values(s.N * s.H * s.W * s.C, 1), w = random_values(s.K * 9 * s.C, 2);
  template <class D>
  Array<> compute(D device) const {
    Array<> y = unwritten(s.N * s.P * s.Q * s.K);
    conv2d_forward(device, s, x.data(), w.data(), nullptr, Epilogue::linear, y.data());
    return y;
  }
};

TEST_F(PlanTable, ThePlanOfTheTableComputes) {
  if (!gpu_is_there()) GTEST_SKIP() << "no GPU";
  const Layer layer;
  const Array<> expected = layer.compute(Reference{});
  EXPECT_LT(relative_error(layer.compute(Cuda{}), expected), 1e-6);
  // One that rounds more shows that it was taken.
  ASSERT_TRUE(read_known_conv2d_plan(line + "tensor_core tf32 64x32", gpu_compute_capability()));
  const double error = relative_error(layer.compute(Cuda{}), expected);
  EXPECT_GT(error, 1e-5);
  EXPECT_LT(error, 1e-3);
}

TEST_F(PlanTable, TuningTimesAConvolutionOnceAndKeepsItsPlan) {
  if (!gpu_is_there()) GTEST_SKIP() << "no GPU";
  const Layer layer;
  const Array<> expected = layer.compute(Reference{});
  set_conv2d_tuning(true);
  EXPECT_LT(relative_error(layer.compute(Cuda{}), expected), 1e-6);
  const auto lines = known_conv2d_plan_lines();
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_TRUE(lines[0].starts_with(line + "implicit_gemm fp32 ")) << lines[0];
  EXPECT_LT(relative_error(layer.compute(Cuda{}), expected), 1e-6);
  EXPECT_EQ(known_conv2d_plan_lines(), lines);
  set_gpu_precision(Precision::tf32);  // another table entry
  EXPECT_LT(relative_error(layer.compute(Cuda{}), expected), 1e-3);
  EXPECT_EQ(known_conv2d_plan_lines().size(), 2u);
}

TEST_F(PlanTable, TuningAddsToWhatIsThereOnce) {
  if (!gpu_is_there()) GTEST_SKIP() << "no GPU";
  const Conv2dShape s = {.H = 4, .W = 5, .C = 8, .K = 12, .P = 4, .Q = 5};
  const Array<> dy = random_values(s.N * s.P * s.Q * s.K, 1),
                w = random_values(s.K * s.R * s.S * s.C, 2),
                before = random_values(s.N * s.H * s.W * s.C, 3);
  const auto add_to = [&](auto device) {
    Array<> dx = before;
    conv2d_backward_input(device, s, dy.data(), w.data(), dx.data(), dx.data());
    return dx;
  };
  const Array<> expected = add_to(Reference{});
  set_conv2d_tuning(true);
  EXPECT_LT(relative_error(add_to(Cuda{}), expected), 1e-6);
}

#endif

}  // namespace
}  // namespace fettle
