// Focal losses against Keras and torchvision.
#include <gtest/gtest.h>

#include "engine/ops/losses.h"
#include "tests/stored_values.h"

namespace fettle {
namespace {

using Json = nlohmann::json;

TEST(FocalLoss, OfClassesEqualsKeras) {
  for (const auto& c : stored_values("focal.json", "categorical").get<std::vector<Json>>()) {
    const Tensor logits = leaf(stored_tensor(c["shape"], c["logits"]));
    const auto labels = c["labels"].get<std::vector<int32_t>>();
    const Tensor loss = sparse_categorical_cross_entropy(
        logits, Tensor::from({std::ssize(labels)}, labels, test_device()), {}, c["smoothing"],
        c["gamma"]);
    EXPECT_NEAR(loss.item(), c["loss"].get<double>(), 1e-6);
    backward(loss);
    expect_equal(logits.grad(), c["dlogits"], "dlogits");
  }
}

TEST(FocalLoss, OfSeveralLabelsEqualsTorchvision) {
  for (const auto& c : stored_values("focal.json", "binary").get<std::vector<Json>>()) {
    const Tensor logits = leaf(stored_tensor(c["shape"], c["logits"]));
    const Tensor loss =
        binary_cross_entropy(logits, stored_tensor(c["shape"], c["targets"]), {}, 0, c["gamma"]);
    EXPECT_NEAR(loss.item(), c["loss"].get<double>(), 1e-6);
    backward(loss);
    expect_equal(logits.grad(), c["dlogits"], "dlogits");
  }
}

TEST(FocalLoss, StandsHugeLogits) {
  const Tensor logits =
      leaf(Tensor::from({2, 2}, std::vector<float>{5000, -5000, -5000, 5000}, test_device()));
  const Tensor labels = Tensor::from({2}, std::vector<int32_t>{0, 0}, test_device());
  for (const float gamma : {0.5f, 2.0f}) {
    const Tensor loss = sparse_categorical_cross_entropy(logits, labels, {}, 0, gamma);
    EXPECT_FLOAT_EQ(loss.item(), 5000);
    logits.node()->grad = Tensor();
    backward(loss);
    const std::vector<float> gradient = logits.grad().to_vector();
    EXPECT_FLOAT_EQ(gradient[0], 0);
    EXPECT_FLOAT_EQ(gradient[3], 0.5f);
    const Tensor wrong = leaf(Tensor::full({1, 1}, 900, test_device()));
    const Tensor binary =
        binary_cross_entropy(wrong, Tensor::full({1, 1}, 0, test_device()), {}, 0, gamma);
    EXPECT_FLOAT_EQ(binary.item(), 900);
    backward(binary);
    EXPECT_FLOAT_EQ(wrong.grad().item(), 1);
  }
}

}  // namespace
}  // namespace fettle
