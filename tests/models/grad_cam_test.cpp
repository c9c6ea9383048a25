#include "models/grad_cam.h"

#include <gtest/gtest.h>

#include "layers/batch_normalization.h"
#include "layers/conv2d.h"
#include "layers/dense.h"
#include "layers/elementwise.h"
#include "layers/pooling.h"
#include "layers/sequential.h"
#include "tests/stored_values.h"

namespace fettle {
namespace {

/// Three channels that are passed on, pooled by `pool`, and weighed by `weights` [K,3].
template <class Pool>
Sequential weighing(const std::vector<float>& weights) {
  const auto K = static_cast<int64_t>(weights.size()) / 3;
  Sequential model(Conv2D(3, 1, {.use_bias = false}), ReLU(), Pool(), Dense(K));
  build(model, {2, 4, 5, 3});
  NamedTensors tensors = named_tensors(model);
  tensors.at(0).tensor.copy_from(
      Tensor::from({3, 1, 1, 3}, std::vector<float>{1, 0, 0, 0, 1, 0, 0, 0, 1}));
  tensors.at(1).tensor.copy_from(Tensor::from({K, 3}, weights));
  model.set_trainable(false);
  return model;
}

// With a global mean, a channel's weight is its dense weight over the number of pixels (the paper's
// equation of CAM and Grad-CAM).
TEST(GradCam, IsTheWeighedSumOfTheMapsBehindAGlobalMean) {
  const std::vector<float> w = {0.5f, -1, 2};
  Sequential model = weighing<GlobalAveragePooling2D>(w);
  const Tensor x = random_tensor({2, 4, 5, 3}, 3);
  const Tensor maps = grad_cam(model, x, {1, 0});
  ASSERT_EQ(maps.shape(), (Shape{2, 4, 5}));
  for (int64_t i = 0; i < 40; ++i) {
    double sum = 0;
    for (int64_t k = 0; k < 3; ++k)
      sum += w[static_cast<size_t>(k)] * std::max(x.data()[i * 3 + k], 0.0f);
    if (i >= 20) sum = -sum;  // class 0
    EXPECT_NEAR(maps.data()[i], std::max(sum, 0.0) / 20, 1e-6) << i;
  }
}

// Two logits say by their difference what one logit says.
TEST(GradCam, OneLogitAndTwoAreExplainedAlike) {
  Sequential one = weighing<GlobalMaxPooling2D>({0.5f, -1, 2});
  Sequential two = weighing<GlobalMaxPooling2D>({1, 2, -1, 1.5f, 1, 1});
  const Tensor x = random_tensor({2, 4, 5, 3}, 4);
  for (const std::vector<int32_t>& classes : {std::vector<int32_t>{1, 1}, {0, 1}, {0, 0}}) {
    EXPECT_LT(relative_error(grad_cam(one, x, classes).to_vector(),
                             grad_cam(two, x, classes).to_vector()),
              1e-5);
  }
}

// Of several labels each logit says all of its own label, as one logit says of class 1.
TEST(GradCam, EachOfSeveralLabelsIsExplainedByItself) {
  Sequential one = weighing<GlobalMaxPooling2D>({0.5f, -1, 2});
  Sequential three = weighing<GlobalMaxPooling2D>({7, 3, 1, 0.5f, -1, 2, -9, 1, 1});
  const Tensor x = random_tensor({2, 4, 5, 3}, 4);
  const std::vector<float> wanted = grad_cam(one, x, {1, 1}).to_vector();
  EXPECT_LT(relative_error(grad_cam(three, x, {1, 1}, true).to_vector(), wanted), 1e-6);
  EXPECT_LT(relative_error(grad_cam(one, x, {0, 0}, true).to_vector(), wanted), 1e-6);
  EXPECT_GT(relative_error(grad_cam(three, x, {1, 1}).to_vector(), wanted), 1e-2);
  EXPECT_NE(message_of([&] {
              grad_cam(one, x, {0, 1}, true);
            }).find("no class 1"),
            std::string::npos);
}

TEST(GradCam, LooksAtWhatTheLastConvolutionGivesBeforeItIsPooled) {
  Sequential model(Conv2D(4, 3, {.padding = Padding::same}), MaxPooling2D(),
                   Conv2D(5, 3, {.padding = Padding::same}), BatchNormalization(), ReLU(),
                   MaxPooling2D(), Flatten(), Dense(6, Activation::relu), Dense(3));
  build(model, {1, 16, 24, 2}, 5);
  model.set_trainable(false);
  const Tensor x = random_tensor({3, 16, 24, 2}, 6);
  EXPECT_EQ(grad_cam(model, x, {0, 1, 2}).shape(), (Shape{3, 8, 12}));
  EXPECT_FALSE(model(x).requires_grad()) << "nothing stays on the tape";
}

TEST(GradCam, RefusesWhatItCannotExplain) {
  const Tensor x = random_tensor({2, 4, 5, 3}, 3);
  Sequential model = weighing<GlobalMaxPooling2D>({0.5f, -1, 2});
  EXPECT_NE(message_of([&] { grad_cam(model, x, {0, 2}); }).find("no class 2"), std::string::npos);
  EXPECT_NE(message_of([&] { grad_cam(model, x, {0}); }).find("a class a picture"),
            std::string::npos);
  model.set_trainable(true);
  EXPECT_NE(message_of([&] { grad_cam(model, x, {0, 1}); }).find("freeze"), std::string::npos);
  Sequential dense(Flatten(), Dense(2));
  build(dense, x.shape());
  EXPECT_NE(message_of([&] {
              grad_cam(dense, x, {0, 1});
            }).find("no convolution"),
            std::string::npos);
}

}  // namespace
}  // namespace fettle
