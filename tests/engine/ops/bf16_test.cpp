// Operations whose activations are bf16, beside the same ones in f32.
#if defined(FETTLE_CUDA)

#include <gtest/gtest.h>

#include "engine/autograd.h"
#include "engine/ops/activation.h"
#include "engine/ops/arithmetic.h"
#include "engine/ops/batch_norm.h"
#include "engine/ops/cast.h"
#include "engine/ops/concatenate.h"
#include "engine/ops/conv2d.h"
#include "engine/ops/conv2d_transpose.h"
#include "engine/ops/dense.h"
#include "engine/ops/pool2d.h"
#include "engine/ops/reduce.h"
#include "engine/ops/reshape.h"
#include "engine/ops/upsample2d.h"
#include "kernels/conv2d/plan.h"
#include "tests/random_values.h"

namespace fettle {
namespace {

class Bf16Operations : public testing::Test {
 protected:
  void SetUp() override {
    if (gpu_compute_capability() < 80) GTEST_SKIP() << "no GPU of sm_80";
  }
  void TearDown() override { set_gpu_precision(Precision::fp32); }

  Tensor parameter(const Shape& shape, uint32_t seed) const {
    const Array<> values = random_values(shape.size(), seed);
    Tensor t = Tensor::from(shape, std::span<const float>(values), Device::cuda());
    t.set_requires_grad(true);
    return t;
  }
};

TEST_F(Bf16Operations, CastRoundsAndComesBack) {
  const Tensor x = parameter({5, 7}, 1);
  const Tensor y = cast(x, DType::bf16);
  EXPECT_EQ(y.dtype(), DType::bf16);
  EXPECT_EQ(y.bytes(), 70u);
  EXPECT_EQ(cast(y, DType::bf16).raw(), y.raw());
  EXPECT_LT(relative_error(as_f32(y).to_vector(), x.to_vector()), 0x1p-8);
  backward(sum(y * y));
  EXPECT_LT(relative_error(x.grad().to_vector(), (x.detach() + x.detach()).to_vector()), 0x1p-7);
  EXPECT_THROW(cast(Tensor::full({2}, 1), DType::bf16), Error);
  EXPECT_THROW(y.to_vector(), Error);
}

/// A network of every operation that takes bf16: its loss and the gradients of its input and its
/// parameters.
TEST_F(Bf16Operations, AWholeNetworksGradients) {
  const auto gradients = [&](Precision precision) {
    set_gpu_precision(precision);
    const Tensor x = parameter({2, 8, 12, 3}, 1);
    std::vector<Tensor> leaves = {x};
    const auto weight = [&](const Shape& shape) {
      leaves.push_back(parameter(shape, static_cast<uint32_t>(leaves.size() + 1)));
      return leaves.back();
    };
    Tensor mean, variance;
    const auto normalised = [&](const Tensor& in) {
      const int64_t C = in.shape()[-1];
      return batch_norm_training(in, weight({C}), weight({C}), 1e-3f, mean, variance);
    };
    const Conv2dOptions same = {.padding = Padding::same};
    const Tensor a = conv2d(x, weight({16, 3, 3, 3}), weight({16}), same);
    EXPECT_EQ(a.dtype(), precision == Precision::bf16 ? DType::bf16 : DType::f32);
    const Tensor b = relu(normalised(conv2d(a, weight({16, 3, 3, 16}), {}, same)) + a);
    const Tensor c = relu(normalised(b) + normalised(conv2d(b, weight({16, 1, 1, 16}), {}, same)));
    const Tensor d = upsample2d(max_pool2d(c, {}), {2, 2}, Upsampling::bilinear);
    const Tensor e = swish(concatenate({d, c}));
    const Tensor f = conv2d_transpose(average_pool2d(e, {}), weight({32, 3, 3, 8}), weight({8}),
                                      {.strides = {2, 2}, .epilogue = Epilogue::relu});
    const Tensor g =
        conv2d(f * f, weight({12, 3, 3, 8}), weight({12}),
               {.strides = {2, 2}, .padding = Padding::same, .epilogue = Epilogue::relu});
    const Tensor h = dense(flatten(g), weight({4, 5 * 7 * 12}), weight({4}), Epilogue::linear);
    EXPECT_EQ(h.dtype(), DType::f32);
    const Tensor loss = sum(h * h);
    backward(loss);
    std::vector<std::vector<float>> all = {loss.to_vector()};
    for (const Tensor& leaf : leaves) {
      EXPECT_EQ(leaf.grad().dtype(), DType::f32);
      all.push_back(leaf.grad().to_vector());
    }
    return all;
  };
  const auto exact = gradients(Precision::fp32), rounded = gradients(Precision::bf16);
  ASSERT_EQ(exact.size(), rounded.size());
  for (size_t i = 0; i < exact.size(); ++i) {
    // Masks of ReLU and places of maxima differ, too.
    EXPECT_LT(relative_error(rounded[i], exact[i]), 0.12) << i;
  }
}

}  // namespace
}  // namespace fettle

#endif
