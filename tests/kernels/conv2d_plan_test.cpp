// Which rung, tile and cut the plans give to convolutions of ResNet50 on a GPU of 132
// multiprocessors.
#include <gtest/gtest.h>

#include "kernels/conv2d/plan.h"
#include "tests/cases/conv2d.h"

namespace fettle {
namespace {

constexpr auto forward = Conv2dDirection::forward;
constexpr auto backward_input = Conv2dDirection::backward_input;
constexpr auto backward_weight = Conv2dDirection::backward_weight;

/// 32 pictures, padded by half the kernel.
Conv2dShape square(int64_t extent, int64_t C, int64_t K, int64_t kernel, int64_t stride) {
  const int64_t pad = kernel / 2;
  return conv2d_case("",
                     {.N = 32,
                      .H = extent,
                      .W = extent,
                      .C = C,
                      .K = K,
                      .R = kernel,
                      .S = kernel,
                      .stride_h = stride,
                      .stride_w = stride,
                      .pad_top = pad,
                      .pad_left = pad},
                     pad, pad)
      .shape;
}

std::string plan(Conv2dDirection direction, const Conv2dShape& s, int compute_capability,
                 Precision precision = Precision::bf16) {
  return to_string(plan_conv2d(direction, s, compute_capability, 132, precision));
}

TEST(Conv2dPlans, HopperMultipliesByWarpgroups) {
  EXPECT_EQ(plan(forward, square(56, 64, 64, 3, 1), 90), "wgmma bf16 256x64");
  EXPECT_EQ(plan(forward, square(28, 128, 128, 3, 1), 90), "wgmma bf16 192x128");
  EXPECT_EQ(plan(forward, square(56, 256, 256, 3, 1), 90), "wgmma bf16 256x128");
  EXPECT_EQ(plan(forward, square(14, 256, 1024, 1, 1), 90), "wgmma bf16 192x128");
  EXPECT_EQ(plan(forward, square(56, 128, 128, 3, 2), 90), "wgmma bf16 192x128");
  EXPECT_EQ(plan(backward_input, square(56, 64, 64, 3, 1), 90), "wgmma bf16 256x64");
  EXPECT_EQ(plan(backward_input, square(56, 128, 128, 3, 2), 90), "wgmma bf16 256x128");
  EXPECT_EQ(plan(backward_input, square(28, 512, 1024, 1, 2), 90), "wgmma bf16 192x128");
  EXPECT_EQ(plan(backward_input, square(56, 256, 256, 3, 2), 90), "wgmma bf16 256x128");
  EXPECT_EQ(plan(backward_weight, square(56, 64, 64, 3, 1), 90), "wgmma bf16 64x64 in 14 splits");
  EXPECT_EQ(plan(backward_weight, square(256, 16, 4, 1, 1), 90), "wgmma bf16 64x64 in 132 splits");
}

TEST(Conv2dPlans, WhatRung6CannotDoOrWouldFillWithZeros) {
  EXPECT_EQ(plan(forward, square(56, 16, 64, 3, 1), 90), "multistage bf16 64x64");
  EXPECT_EQ(plan(backward_input, square(224, 3, 64, 7, 2), 90), "multistage bf16 16 channels");
  EXPECT_EQ(plan(backward_weight, square(56, 24, 64, 3, 1), 90),
            "multistage bf16 64x64 in 264 splits");
  Conv2dShape grouped = square(56, 128, 128, 3, 1);
  grouped.groups = 2;
  EXPECT_EQ(plan(forward, grouped, 90), "multistage bf16 64x64");
  grouped.groups = 128;
  EXPECT_EQ(plan(forward, grouped, 90), "depthwise");
  grouped.K = 256;  // two outputs a channel
  EXPECT_EQ(plan(forward, grouped, 90), "direct");
}

TEST(Conv2dPlans, FewChannelsHaveTilesOfTheirOwn) {
  for (const int capability : {80, 90}) {
    EXPECT_EQ(plan(forward, square(256, 16, 16, 3, 1), capability), "patch bf16");
    EXPECT_EQ(plan(forward, square(256, 1, 16, 3, 1), capability), "patch bf16");
    EXPECT_EQ(plan(forward, square(256, 16, 4, 1, 1), capability), "patch bf16");
    EXPECT_EQ(plan(backward_input, square(128, 32, 32, 3, 1), capability), "patch bf16");
    EXPECT_EQ(plan(backward_weight, square(256, 1, 16, 3, 1), capability),
              "multistage bf16 16 channels in 512 splits");
  }
  EXPECT_EQ(plan(forward, square(256, 16, 16, 3, 2), 80), "multistage bf16 16 channels");
  EXPECT_EQ(plan(forward, square(128, 32, 32, 3, 2), 80), "multistage bf16 32 channels");
  EXPECT_EQ(plan(backward_input, square(256, 48, 16, 3, 1), 90), "multistage bf16 64x64");
  EXPECT_EQ(plan(forward, square(128, 32, 48, 3, 1), 90), "wgmma bf16 256x64 by 32 channels");
  EXPECT_EQ(plan(forward, square(224, 3, 64, 7, 2), 90), "wgmma bf16 256x64 by 32 channels");
  EXPECT_EQ(plan(backward_weight, square(256, 16, 16, 3, 1), 90),
            "wgmma bf16 64x64 by 16 channels in 44 splits");
}

TEST(Conv2dPlans, OperandsOfMoreThan32Bits) {
  Conv2dShape s = square(56, 256, 64, 1, 1);
  s.N = 20'000;
  EXPECT_EQ(plan(forward, s, 90), "wgmma bf16 256x64");
  s.N = 30'000;  // 3.0e9 eights of channels
  EXPECT_EQ(plan(forward, s, 90), "direct");
}

TEST(Conv2dPlans, OtherGpusAndPrecisions) {
  const Conv2dShape s = square(56, 64, 64, 3, 1);
  EXPECT_EQ(plan(forward, s, 80), "multistage bf16 64x64");
  EXPECT_EQ(plan(forward, s, 100), "multistage bf16 64x64");
  EXPECT_EQ(plan(forward, s, 75), "direct");
  EXPECT_EQ(plan(forward, s, 75, Precision::tf32), "implicit_gemm fp32 128x64");
  EXPECT_EQ(plan(forward, s, 90, Precision::tf32), "wgmma tf32 256x64");
  EXPECT_EQ(plan(backward_input, s, 90, Precision::tf32), "wgmma tf32 256x64");
  EXPECT_EQ(plan(backward_weight, s, 90, Precision::tf32), "wgmma tf32 64x64 in 29 splits");
  EXPECT_EQ(plan(backward_weight, s, 80, Precision::tf32), "tensor_core tf32 128x64 in 52 splits");
  EXPECT_EQ(plan(backward_weight, square(28, 512, 256, 1, 1), 80, Precision::tf32),
            "tensor_core tf32 128x128 in 33 splits");
  EXPECT_EQ(plan(forward, square(256, 16, 16, 3, 1), 90, Precision::tf32), "patch tf32");
  EXPECT_EQ(plan(backward_input, square(256, 16, 16, 3, 1), 90, Precision::tf32), "patch tf32");
  EXPECT_EQ(plan(forward, square(128, 32, 32, 3, 1), 90, Precision::tf32), "wgmma tf32 256x64");
  EXPECT_EQ(plan(forward, square(128, 32, 32, 3, 1), 80, Precision::tf32), "patch tf32");
  EXPECT_EQ(plan(forward, square(256, 48, 16, 1, 1), 90, Precision::tf32), "wgmma tf32 256x64");
  EXPECT_EQ(plan(backward_weight, square(128, 32, 32, 3, 1), 90, Precision::tf32),
            "tensor_core tf32 32 channels in 176 splits");
  EXPECT_EQ(plan(forward, square(224, 3, 64, 7, 2), 90, Precision::tf32), "tensor_core tf32 64x32");
  EXPECT_EQ(plan(forward, s, 80, Precision::tf32), "tensor_core tf32 128x64");
  EXPECT_EQ(plan(forward, s, 90, Precision::fp32), "implicit_gemm fp32 128x64");
}

TEST(Conv2dPlans, AllOfThemHoldTheChosenRung) {
  for (const Conv2dCase& c : conv2d_cases()) {
    for (const auto direction : {forward, backward_input, backward_weight}) {
      for (const int capability : {75, 80, 90}) {
        for (const Precision precision : {Precision::tf32, Precision::bf16}) {
          const Conv2dPlan chosen = plan_conv2d(direction, c.shape, capability, 132, precision);
          bool found = false;
          for (const Conv2dPlan& p : all_conv2d_plans(direction, c.shape, capability)) {
            found = found || (p.rung == chosen.rung && p.tile == chosen.tile &&
                              p.precision == chosen.precision);
          }
          EXPECT_TRUE(found) << c.name << ": " << to_string(chosen);
        }
      }
    }
  }
}

}  // namespace
}  // namespace fettle
