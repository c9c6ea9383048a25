// An enlarged tensor that nobody has read: a concatenation enlarges into its own, and what treats
// each pixel by itself is done before. The same results and gradients, and less memory.
#include "engine/memory.h"
#include "engine/ops/activation.h"
#include "engine/ops/arithmetic.h"
#include "engine/ops/cast.h"
#include "engine/ops/concatenate.h"
#include "engine/ops/conv2d.h"
#include "engine/ops/upsample2d.h"
#include "tests/gradient_check.h"
#include "tests/stored_values.h"

namespace fettle {
namespace {

struct Results {
  std::vector<float> y, dx, dskip;
  bool operator==(const Results&) const = default;
};

Results results(Upsampling how, DType dtype, bool late) {
  Tensor leaves[] = {random_tensor({2, 3, 5, 8}, 1), random_tensor({2, 6, 10, 16}, 2)};
  for (Tensor& leaf : leaves) leaf.set_requires_grad(true);
  const Tensor enlarged = upsample2d(cast(leaves[0], dtype), {2, 2}, how);
  EXPECT_TRUE(enlarged.pending());
  if (!late) enlarged.compute();
  const Tensor y = cast(concatenate({enlarged, cast(leaves[1], dtype)}), DType::f32);
  EXPECT_EQ(enlarged.pending() != nullptr, late);
  backward_with(y, random_tensor(y.shape(), 3));
  return {y.to_vector(), leaves[0].grad().to_vector(), leaves[1].grad().to_vector()};
}

TEST(PendingUpsampling, GivesTheSameBits) {
  for (const Upsampling how : {Upsampling::nearest, Upsampling::bilinear}) {
    EXPECT_EQ(results(how, DType::f32, true), results(how, DType::f32, false));
    if (test_device().is_cuda()) {
      EXPECT_EQ(results(how, DType::bf16, true), results(how, DType::bf16, false));
    }
  }
}

TEST(PendingUpsampling, GradientsOfAllReadersAreTheNumericalOnes) {
  const std::vector<Tensor> inputs = {random_tensor({1, 2, 3, 4}, 1),
                                      random_tensor({1, 4, 6, 2}, 2)};
  for (const Upsampling how : {Upsampling::nearest, Upsampling::bilinear}) {
    // Read by two concatenations, where it comes first and last, and by itself.
    expect_gradients(
        [&](const std::vector<Tensor>& in) {
          const Tensor up = upsample2d(in[0], {2, 2}, how);
          const Tensor both = concatenate({up, in[1], up});
          return both + concatenate({swish(up), in[1], up * up});
        },
        inputs, 5e-3);
  }
}

/// relu(upsample(x) + conv(upsample(y))) of a 1x1 convolution, as a U-Net Xception has it.
Tensor branches(const Tensor& x, const Tensor& y, const Tensor& w, const Tensor& bias,
                Upsampling how, bool late) {
  Tensor a = upsample2d(x, {2, 3}, how), b = upsample2d(y, {2, 3}, how);
  if (!late) a.compute(), b.compute();
  const Tensor sum = a + conv2d(b, w, bias, {});
  EXPECT_EQ(sum.pending() != nullptr, late);
  const Tensor activated = relu(sum);
  EXPECT_EQ(activated.pending() != nullptr, late && how == Upsampling::nearest);
  return activated;
}

TEST(PendingUpsampling, WhatTreatsEachPixelByItselfIsDoneBefore) {
  const Tensor x = random_tensor({2, 3, 4, 5}, 1), y = random_tensor({2, 3, 4, 6}, 2);
  const Tensor w = random_tensor({5, 1, 1, 6}, 3), bias = random_tensor({5}, 4);
  for (const Upsampling how : {Upsampling::nearest, Upsampling::bilinear}) {
    const auto gradients = [&](bool late) {
      const std::vector<Tensor> leaves = {leaf(x), leaf(y), leaf(w), leaf(bias)};
      const Tensor out = branches(leaves[0], leaves[1], leaves[2], leaves[3], how, late);
      backward_with(out, random_tensor(out.shape(), 5));
      std::vector<std::vector<float>> all = {out.to_vector()};
      for (const Tensor& one : leaves) all.push_back(one.grad().to_vector());
      return all;
    };
    const auto before = gradients(true), after = gradients(false);
    for (size_t i = 0; i < before.size(); ++i)
      EXPECT_LT(relative_error(before[i], after[i]), 1e-6) << i;
  }
}

TEST(PendingUpsampling, OtherConvolutionsReadTheEnlargedTensor) {
  const Tensor x = random_tensor({1, 3, 4, 5}, 1);
  const Conv2dOptions strided = {.strides = {2, 2}}, same = {.padding = Padding::same};
  const auto expect_same_values = [&](const Tensor& w, const Conv2dOptions& options) {
    const Tensor late = conv2d(upsample2d(x), w, {}, options), plain = upsample2d(x);
    plain.compute();
    EXPECT_EQ(late.to_vector(), conv2d(plain, w, {}, options).to_vector());
  };
  expect_same_values(random_tensor({2, 1, 1, 5}, 2), strided);
  expect_same_values(random_tensor({2, 3, 3, 5}, 3), same);
  expect_same_values(random_tensor({2, 1, 1, 5}, 4),
                     {.explicit_padding = std::array{Pads{1, 0}, Pads{0, 0}}});
}

TEST(PendingUpsampling, TheEnlargedTensorIsNeverWritten) {
  const Tensor x = random_tensor({1, 32, 32, 16}, 1), skip = random_tensor({1, 64, 64, 16}, 2);
  const Device device = test_device();
  release_cached_memory(device);
  reset_peak_memory(device);
  const int64_t before = memory_stats(device).current;
  const Tensor y = concatenate({upsample2d(x), skip});
  EXPECT_EQ(memory_stats(device).peak - before, static_cast<int64_t>(y.bytes()));
}

}  // namespace
}  // namespace fettle
