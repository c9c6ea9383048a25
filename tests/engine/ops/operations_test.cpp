// Operations beside PyTorch's values, and their gradients beside differences.
#include <gtest/gtest.h>

#include "engine/ops/activation.h"
#include "engine/ops/arithmetic.h"
#include "engine/ops/batch_norm.h"
#include "engine/ops/concatenate.h"
#include "engine/ops/dropout.h"
#include "engine/ops/losses.h"
#include "engine/ops/pool2d.h"
#include "engine/ops/reduce.h"
#include "engine/ops/reshape.h"
#include "engine/ops/upsample2d.h"
#include "tests/gradient_check.h"
#include "tests/stored_values.h"

namespace fettle {
namespace {

using Inputs = std::vector<Tensor>;

/// Compares y and dx of f with a stored case.
void expect_case(const nlohmann::json& stored, const std::function<Tensor(const Tensor&)>& f) {
  const std::string name = stored["name"];
  const Tensor x = leaf(stored_tensor(stored["x_shape"], stored["x"]));
  const Tensor y = f(x);
  EXPECT_EQ(y.shape(), stored_shape(stored["y_shape"])) << name;
  expect_equal(y, stored["y"], name + " y");
  backward_with(y, stored_tensor(stored["y_shape"], stored["dy"]));
  expect_equal(x.grad(), stored["dx"], name + " dx");
}

TEST(Operations, ActivationsEqualPyTorch) {
  const std::map<std::string, Activation> named = {{"relu", Activation::relu},
                                                   {"relu6", Activation::relu6},
                                                   {"sigmoid", Activation::sigmoid},
                                                   {"swish", Activation::swish},
                                                   {"softmax", Activation::softmax}};
  for (const auto& stored : stored_values("operations.json", "activations")) {
    expect_case(stored, [&](const Tensor& x) { return activate(x, named.at(stored["name"])); });
  }
}

TEST(Operations, SigmoidKeepsItsPrecisionAtBothEnds) {
  const std::vector<float> y =
      sigmoid(Tensor::from({4}, std::vector<float>{-80, -20, 20, 200})).to_vector();
  EXPECT_NEAR(y[0] / 1.8048513e-35f, 1, 1e-5);
  EXPECT_NEAR(y[1] / 2.0611537e-9f, 1, 1e-5);
  EXPECT_EQ(y[2], 1);
  EXPECT_EQ(y[3], 1);
}

TEST(Operations, PoolingEqualsPyTorch) {
  const auto cases = stored_values("operations.json", "pools");
  const std::array pads = {Pads{1, 1}, Pads{1, 1}};
  expect_case(cases[0], [](const Tensor& x) { return max_pool2d(x, {}); });
  expect_case(cases[1], [&](const Tensor& x) {
    return max_pool2d(x, {.pool_size = {3, 3}, .explicit_padding = pads});
  });
  expect_case(cases[2], [&](const Tensor& x) {
    return average_pool2d(x, {.pool_size = {3, 3}, .explicit_padding = pads});
  });
  expect_case(cases[3], [](const Tensor& x) { return global_average_pool2d(x); });
}

TEST(Operations, UpsamplingEqualsPyTorch) {
  const auto cases = stored_values("operations.json", "upsamples");
  expect_case(cases[0], [](const Tensor& x) { return upsample2d(x, {2, 3}); });
  expect_case(cases[1], [](const Tensor& x) {
    return upsample2d(x, {2, 3}, Upsampling::bilinear);
  });
}

TEST(Operations, BatchNormEqualsPyTorch) {
  for (const auto& stored : stored_values("operations.json", "batch_norm")) {
    const Tensor gamma = leaf(stored_tensor({6}, stored["gamma"]));
    const Tensor beta = leaf(stored_tensor({6}, stored["beta"]));
    Tensor mean = stored_tensor({6}, stored["mean"]);
    Tensor variance = stored_tensor({6}, stored["variance"]);
    const bool training = stored["name"] == "training";
    expect_case(stored, [&](const Tensor& x) {
      return training ? batch_norm_training(x, gamma, beta, 1e-3f, mean, variance)
                      : batch_norm_inference(x, gamma, beta, mean, variance, 1e-3f);
    });
    expect_equal(gamma.grad(), stored["dgamma"], "dgamma");
    expect_equal(beta.grad(), stored["dbeta"], "dbeta");
    if (!training) continue;
    // PyTorch: running = 0.9 * before + 0.1 * batch, the variance times n / (n - 1).
    const auto before_mean = stored["mean"].get<std::vector<double>>();
    const auto before_variance = stored["variance"].get<std::vector<double>>();
    for (size_t c = 0; c < 6; ++c) {
      EXPECT_NEAR(0.9 * before_mean[c] + 0.1 * mean.to_vector()[c],
                  stored["mean_after"][c].get<double>(), 1e-6);
      EXPECT_NEAR(0.9 * before_variance[c] + 0.1 * variance.to_vector()[c] * 60 / 59,
                  stored["variance_after"][c].get<double>(), 1e-6);
    }
  }
}

TEST(Operations, BatchNormStandsALargeMean) {
  Array<> values = random_values(4096 * 3, 1);
  double sum = 0, squares = 0;
  for (float& value : values) value += 1e4f;
  for (size_t i = 0; i < values.size(); i += 3) sum += values[i];
  for (size_t i = 0; i < values.size(); i += 3) squares += std::pow(values[i] - sum / 4096, 2);
  Tensor mean, variance;
  batch_norm_training(Tensor::from({4096, 3}, std::span<const float>(values), test_device()),
                      Tensor::full({3}, 1, test_device()),
                      Tensor::zeros({3}, DType::f32, test_device()), 1e-3f, mean, variance);
  EXPECT_NEAR(mean.to_vector()[0], sum / 4096, 1e-2);
  EXPECT_NEAR(variance.to_vector()[0] / (squares / 4096), 1, 1e-4);
}

TEST(Operations, CrossEntropiesEqualPyTorch) {
  const auto all = stored_values("operations.json", "losses");
  const auto& c = all["categorical"];
  Tensor logits = leaf(stored_tensor(c["logits_shape"], c["logits"]));
  const Tensor labels = Tensor::from({7}, c["labels"].get<std::vector<int32_t>>());
  Tensor loss = sparse_categorical_cross_entropy(
      logits, labels, c["weights"].get<std::vector<float>>(), c["label_smoothing"]);
  EXPECT_NEAR(loss.item(), c["loss"].get<double>(), 1e-6);
  backward(loss);
  expect_equal(logits.grad(), c["dlogits"], "dlogits");

  const auto& b = all["binary"];
  logits = leaf(stored_tensor(b["logits_shape"], b["logits"]));
  loss = binary_cross_entropy(logits, stored_tensor(b["logits_shape"], b["targets"]),
                              b["weights"].get<std::vector<float>>(), b["label_smoothing"]);
  EXPECT_NEAR(loss.item(), b["loss"].get<double>(), 1e-6);
  backward(loss);
  expect_equal(logits.grad(), b["dlogits"], "dlogits");
}

TEST(Operations, CrossEntropiesStandHugeLogits) {
  const Tensor logits = leaf(Tensor::from({2, 2}, std::vector<float>{5000, -5000, -5000, 5000}));
  const Tensor loss =
      sparse_categorical_cross_entropy(logits, Tensor::from({2}, std::vector<int32_t>{0, 0}));
  EXPECT_FLOAT_EQ(loss.item(), 5000);
  backward(loss);
  EXPECT_FLOAT_EQ(logits.grad().to_vector()[3], 0.5f);
  EXPECT_FLOAT_EQ(binary_cross_entropy(Tensor::full({1, 1}, 900), Tensor::full({1, 1}, 0)).item(),
                  900);
}

TEST(Operations, RegionLossesEqualPyTorch) {
  const auto all = stored_values("operations.json", "losses")["regions"];
  const std::map<std::string, Grouping> groupings = {
      {"batch", Grouping::batch}, {"picture", Grouping::picture}, {"channel", Grouping::channel}};
  for (const auto& stored : all["cases"]) {
    const std::string kind = stored["kind"];
    const Grouping grouping = groupings.at(stored["grouping"]);
    const Tensor p = leaf(stored_tensor(all["shape"], all["p"]));
    const Tensor t = stored_tensor(all["shape"], all["t"]);
    const Tensor loss = kind == "dice" ? dice_loss(p, t, grouping)
                        : kind == "tversky"
                            ? tversky_loss(p, t, {.grouping = grouping})
                            : focal_tversky_loss(p, t, 0.75f, {.grouping = grouping});
    EXPECT_NEAR(loss.item(), stored["loss"].get<double>(), 1e-6) << stored["grouping"] << kind;
    backward(loss);
    expect_equal(p.grad(), stored["dp"], kind, 1e-5);
  }
}

TEST(Operations, FocalTverskyHasAFiniteGradientAtItsMinimum) {
  const Tensor t = Tensor::from({1, 2, 2, 1}, std::vector<float>{1, 0, 0, 1});
  const Tensor p = leaf(t.clone());
  const Tensor loss = focal_tversky_loss(p, t);
  EXPECT_EQ(loss.item(), 0);
  backward(loss);
  for (float gradient : p.grad().to_vector()) EXPECT_TRUE(std::isfinite(gradient));
}

TEST(Operations, EmptyMasksCostNothingWhenNothingIsFound) {
  const Tensor nothing = Tensor::zeros({2, 3, 3, 1});
  EXPECT_EQ(dice_loss(nothing, nothing).item(), 0);
  EXPECT_EQ(tversky_loss(nothing, nothing, {.smooth = 0}).item(), 0);
}

TEST(Operations, GradientsAreTheNumericalOnes) {
  const Tensor a = random_tensor({2, 3, 5, 4}, 1), b = random_tensor({2, 3, 5, 4}, 2);
  expect_gradients([](const Inputs& in) { return in[0] + in[1]; }, {a, b});
  expect_gradients([](const Inputs& in) { return in[0] * in[1]; }, {a, b});
  expect_gradients([](const Inputs& in) { return in[0] * in[0] + in[0]; }, {a});
  expect_gradients([](const Inputs& in) { return rescale(in[0], 3, 1); }, {a});
  expect_gradients([](const Inputs& in) { return mean(in[0]); }, {a});
  expect_gradients([](const Inputs& in) { return flatten(in[0]); }, {a});
  expect_gradients([](const Inputs& in) { return concatenate(in); },
                   {a, random_tensor({2, 3, 5, 1}, 3), b});
  expect_gradients([](const Inputs& in) { return dropout(in[0], 0.4f, {7, 8, 9}); }, {a});
  expect_gradients([](const Inputs& in) { return softmax(in[0]); }, {a});
  expect_gradients([](const Inputs& in) { return swish(in[0]); }, {a});
  expect_gradients(
      [](const Inputs& in) {
        return upsample2d(in[0], {3, 2}, Upsampling::bilinear);
      },
      {a});
  expect_gradients(
      [](const Inputs& in) {
        Tensor mean, variance;
        return batch_norm_training(in[0], in[1], in[2], 1e-3f, mean, variance);
      },
      {a, random_tensor({4}, 3), random_tensor({4}, 4)}, 5e-3);
}

TEST(Operations, DropoutKeepsTheMeanAndDrawsTheSameMaskAgain) {
  const Tensor x = Tensor::full({100000}, 1);
  const std::vector<float> y = dropout(x, 0.25f, {1, 2, 3}).to_vector();
  double total = 0;
  for (float value : y) {
    EXPECT_TRUE(value == 0 || std::abs(value - 4.0f / 3) < 1e-6f);
    total += value;
  }
  EXPECT_NEAR(total / 100000, 1, 0.01);
  EXPECT_EQ(dropout(x, 0.25f, {1, 2, 3}).to_vector(), y);
  EXPECT_NE(dropout(x, 0.25f, {1, 3, 3}).to_vector(), y);
}

TEST(Operations, ErrorsNameTheOperationAndBothShapes) {
  const Tensor a = Tensor::zeros({2, 3}), b = Tensor::zeros({3, 2});
  EXPECT_EQ(message_of([&] { a + b; }), "add: the shapes [2, 3] and [3, 2] differ");
  EXPECT_NE(message_of([&] { concatenate({a, b}); }).find("[2, 3] and [3, 2]"), std::string::npos);
  EXPECT_NE(message_of([&] {
              max_pool2d(Tensor::zeros({1, 1, 1, 1}), {});
            }).find("max_pool2d"),
            std::string::npos);
  const Tensor labels = Tensor::from({2}, std::vector<int32_t>{0, 3});
  EXPECT_NE(message_of([&] { sparse_categorical_cross_entropy(a, labels); }).find("label 3"),
            std::string::npos);
}

}  // namespace
}  // namespace fettle
