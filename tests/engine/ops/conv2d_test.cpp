#include "engine/ops/conv2d.h"

#include <gtest/gtest.h>

#include "engine/autograd.h"
#include "engine/ops/arithmetic.h"
#include "engine/ops/conv2d_transpose.h"
#include "engine/ops/dense.h"
#include "tests/gradient_check.h"
#include "tests/random_values.h"
#include "tests/stored_values.h"

namespace fettle {
namespace {

TEST(Conv2d, EqualsPyTorchForwardAndBackward) {
  for (const auto& stored : stored_values("conv2d.json", "conv2d")) {
    const Tensor x = leaf(stored_tensor(stored["x_shape"], stored["x"]));
    const Tensor w = leaf(stored_tensor(stored["w_shape"], stored["w"]));
    const Tensor bias = leaf(stored_tensor({stored["w_shape"][0]}, stored["bias"]));
    const auto pads = stored["pads"].get<std::array<int64_t, 4>>();
    const Tensor y =
        conv2d(x, w, bias,
               {.strides = stored["strides"],
                .explicit_padding = std::array{Pads{pads[0], pads[1]}, Pads{pads[2], pads[3]}},
                .dilation = stored["dilation"],
                .groups = stored["groups"],
                .epilogue = Epilogue::relu});
    const std::string name = stored["name"];
    EXPECT_EQ(y.shape(), stored_shape(stored["y_shape"])) << name;
    expect_equal(y, stored["y"], name + " y");
    backward_with(y, stored_tensor(stored["y_shape"], stored["dy"]));
    expect_equal(x.grad(), stored["dx"], name + " dx");
    expect_equal(w.grad(), stored["dw"], name + " dw");
    expect_equal(bias.grad(), stored["dbias"], name + " dbias");
  }
}

TEST(Dense, EqualsPyTorchForwardAndBackward) {
  const auto stored = stored_values("conv2d.json", "dense");
  const Tensor x = leaf(stored_tensor(stored["x_shape"], stored["x"]));
  const Tensor w = leaf(stored_tensor(stored["w_shape"], stored["w"]));
  const Tensor bias = leaf(stored_tensor({stored["w_shape"][0]}, stored["bias"]));
  const Tensor y = dense(x, w, bias);
  expect_equal(y, stored["y"], "y");
  backward_with(y, Tensor::from(y.shape(), stored["dy"].get<std::vector<float>>(), y.device()));
  expect_equal(x.grad(), stored["dx"], "dx");
  expect_equal(w.grad(), stored["dw"], "dw");
  expect_equal(bias.grad(), stored["dbias"], "dbias");
}

TEST(Conv2d, GradientsAreTheNumericalOnes) {
  expect_gradients(
      [](const std::vector<Tensor>& in) {
        return conv2d(in[0], in[1], in[2], {.strides = {2, 1}, .padding = Padding::same});
      },
      {random_tensor({2, 7, 5, 3}, 1), random_tensor({4, 3, 2, 3}, 2), random_tensor({4}, 3)});
}

TEST(Conv2d, AddsToAGradientThatNobodyElseHas) {
  const Tensor w = random_tensor({3, 3, 3, 3}, 1), v = random_tensor({3, 1, 1, 3}, 2);
  // The sum has passed on a's gradient: the convolution that comes first finds it shared, the other
  // adds to what is a's alone.
  expect_gradients(
      [&](const std::vector<Tensor>& in) {
        const Tensor a = rescale(in[0], 2);
        const Tensor b = conv2d(a, w, {}, {.padding = Padding::same});
        return conv2d(a, v, {}, {}) + b + a;
      },
      {random_tensor({2, 4, 5, 3}, 3)});
  // Here z has the same one, and keeps it.
  const Tensor x = leaf(random_tensor({1, 4, 4, 3}, 4)), z = leaf(random_tensor({1, 4, 4, 3}, 5));
  const Tensor y = conv2d(x, w, {}, {.padding = Padding::same}), sum = x + z;
  const Tensor dy = random_tensor(sum.shape(), 6);
  backward_with(y + sum, dy);
  EXPECT_EQ(z.grad().to_vector(), dy.to_vector());
  EXPECT_NE(x.grad().to_vector(), dy.to_vector());
}

TEST(Conv2d, TransposedIsTheWayBackOfAConvolution) {
  // Numerical gradients, and the definition: <conv(u), x> = <u, transposed(x)> for any u and x.
  for (const Padding padding : {Padding::same, Padding::valid}) {
    for (const int64_t stride : {1, 2, 3}) {
      const Tensor x = random_tensor({2, 3, 4, 5}, 1), w = random_tensor({5, 3, 2, 6}, 2);
      const Conv2dTransposeOptions options = {.strides = {stride, 2}, .padding = padding};
      const Tensor y = conv2d_transpose(x, w, {}, options);
      const int64_t rows = padding == Padding::same ? 3 * stride : 2 * stride + 3;
      EXPECT_EQ(y.shape(), (Shape{2, rows, 8, 6}));
      const Tensor u = random_tensor(y.shape(), 3);
      const Tensor back = conv2d(u, w, {}, {.strides = {stride, 2}, .padding = padding});
      ASSERT_EQ(back.shape(), x.shape());
      double here = 0, there = 0;
      const auto a = back.to_vector(), b = x.to_vector(), c = u.to_vector(), d = y.to_vector();
      for (size_t i = 0; i < a.size(); ++i) here += double{a[i]} * b[i];
      for (size_t i = 0; i < c.size(); ++i) there += double{c[i]} * d[i];
      EXPECT_NEAR(here, there, 1e-4 * std::abs(here) + 1e-4);
    }
  }
  expect_gradients(
      [](const std::vector<Tensor>& in) {
        return conv2d_transpose(in[0], in[1], in[2], {.strides = {2, 1}, .padding = Padding::same});
      },
      {random_tensor({2, 3, 4, 3}, 1), random_tensor({3, 3, 2, 4}, 2), random_tensor({4}, 3)});
  // ReLU without a bias, away from its corner.
  expect_gradients(
      [](const std::vector<Tensor>& in) {
        return conv2d_transpose(in[0], in[1], {}, {.epilogue = Epilogue::relu});
      },
      {Tensor::full({1, 2, 2, 3}, 1, test_device()), Tensor::full({3, 1, 1, 2}, 2, test_device())});
  EXPECT_NE(message_of([] {
              conv2d_transpose(Tensor::zeros({1, 2, 2, 3}), Tensor::zeros({4, 3, 3, 5}), {}, {});
            }).find("conv2d_transpose: input [1, 2, 2, 3] and weight [4, 3, 3, 5]"),
            std::string::npos);
}

TEST(Dense, GradientsAreTheNumericalOnes) {
  expect_gradients([](const std::vector<Tensor>& in) { return dense(in[0], in[1], in[2]); },
                   {random_tensor({3, 7}, 1), random_tensor({5, 7}, 2), random_tensor({5}, 3)});
}

TEST(Conv2d, SamePaddingPutsTheOddCellAtTheEnd) {
  const Tensor x = Tensor::empty({1, 8, 8, 1}, DType::f32, Device::meta());
  const Tensor w = Tensor::empty({1, 3, 3, 1});
  const Conv2dShape s = conv2d_shape(x, w, {.strides = {2, 2}, .padding = Padding::same});
  EXPECT_EQ(s.pad_top, 0);
  EXPECT_EQ(s.P, 4);
}

TEST(Conv2d, ErrorsNameTheOperationAndBothShapes) {
  const Tensor x = Tensor::zeros({2, 7, 11, 3}), w = Tensor::zeros({5, 3, 2, 4});
  const std::string message = message_of([&] { conv2d(x, w, {}, {}); });
  EXPECT_NE(message.find("conv2d"), std::string::npos) << message;
  EXPECT_NE(message.find("[2, 7, 11, 3]"), std::string::npos) << message;
  EXPECT_NE(message.find("[5, 3, 2, 4]"), std::string::npos) << message;
  EXPECT_THROW(conv2d(x, Tensor::zeros({5, 9, 2, 3}), {}, {}), Error);
  EXPECT_THROW(conv2d(x, Tensor::zeros({5, 3, 2, 3}), Tensor::zeros({4}), {}), Error);
  EXPECT_THROW(conv2d(x, Tensor::zeros({5, 3, 2, 3}), {}, {.strides = {0, 1}}), Error);
  EXPECT_THROW(conv2d(x, Tensor::zeros({4, 3, 2, 3}), {}, {.groups = 2}), Error);
}

TEST(Dense, ErrorsNameTheOperationAndBothShapes) {
  const std::string message = message_of([] {
    dense(Tensor::zeros({2, 3}), Tensor::zeros({5, 4}), {});
  });
  EXPECT_NE(message.find("dense: input [2, 3] and weight [5, 4]"), std::string::npos) << message;
}

TEST(Conv2d, AFrozenWeightKeepsNoInput) {
  const Tensor w = Tensor::zeros({2, 1, 1, 3});
  const int64_t before = memory_stats().current;
  Tensor y;
  {
    const Tensor x = leaf(Tensor::zeros({1, 64, 64, 3}));
    y = conv2d(x, w, {}, {});
  }
  EXPECT_LT(memory_stats().current - before, static_cast<int64_t>(2 * y.bytes()));
}

}  // namespace
}  // namespace fettle
