#include "models/res_unet.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/random.h"
#include "tests/models/spread.h"
#include "tests/stored_values.h"

namespace fettle {
namespace {

std::pair<int64_t, int64_t> parameters_of(Layer& model) {
  int64_t all = 0, not_trained = 0;
  for (const NamedTensor& tensor : named_tensors(model)) {
    all += tensor.tensor.size();
    if (!tensor.trainable) not_trained += tensor.tensor.size();
  }
  return {all, not_trained};
}

TEST(ResUnet, HasTheParametersOfItsProject) {
  ResUnet model;
  EXPECT_EQ(build(model, {1, 256, 256, 1}), (Shape{1, 256, 256, 4}));
  EXPECT_EQ(parameters_of(model), (std::pair<int64_t, int64_t>{1'210'276, 4'384}));
  int convolutions = 0, norms = 0;
  for (const LayerRow& row : layer_table(model, {1, 256, 256, 1})) {
    convolutions += row.kind == "Conv2D";
    norms += row.kind == "BatchNormalization";
  }
  EXPECT_EQ(convolutions, 27);
  EXPECT_EQ(norms, 26);
}

TEST(ResUnet, TakesAnyMultipleOf16AndRefusesTheRest) {
  for (const auto& [shape, classes] : {std::pair<Shape, int64_t>{{2, 16, 16, 1}, 1},
                                       {{1, 256, 1600, 3}, 4},
                                       {{3, 48, 80, 3}, 7}}) {
    ResUnet model({.classes = classes});
    EXPECT_EQ(build(model, shape), (Shape{shape[0], shape[1], shape[2], classes}));
  }
  ResUnet model;
  EXPECT_NE(message_of([&] {
              build(model, {1, 250, 256, 1});
            }).find("multiples of 16"),
            std::string::npos);
  EXPECT_THROW(ResUnet({.classes = 0}), Error);
}

TEST(ResUnet, WidthOrderAndDropoutAreOptions) {
  ResUnet wide({.width = 32}), after({.relu_before_norm = false});
  build(wide, {1, 32, 32, 1});
  EXPECT_GT(parameters_of(wide).first, 4 * 1'200'000);
  build(after, {1, 32, 32, 1});
  EXPECT_EQ(parameters_of(after).first, 1'210'276);

  ResUnet dropping({.width = 2, .dropout = 0.5f});
  build(dropping, {1, 32, 32, 1}, 3);
  const Tensor x = random_tensor({1, 32, 32, 1}, 1).to(Device::cpu());
  const auto trained = [&](uint32_t step) {
    const TrainingScope training(1, step);
    return dropping(x).to_vector();
  };
  EXPECT_EQ(trained(1), trained(1));
  EXPECT_NE(trained(1), trained(2));
}

TEST(ResUnet, EqualsPyTorchForwardAndBackward) {
  const auto stored = stored_values("res_unet.json");
  ResUnet model({.classes = 3, .width = 2});
  const Shape shape = {2, 32, 48, 2};
  build(model, shape);
  std::vector<std::string> names;
  for (const NamedTensor& tensor : named_tensors(model)) names.push_back(tensor.name);
  ASSERT_EQ(names, stored["names"].get<std::vector<std::string>>());
  set_spread_weights(named_tensors(model), [](const NamedTensor& named) {
    return named.tensor.size() / named.tensor.shape()[0];
  });
  const Tensor x = leaf(Tensor::from(shape, spread(1000, shape.size(), 4, -2)));

  expect_equal(model(x.detach()), stored["predicted"], "prediction", 1e-5);
  const TrainingScope training(1, 1);
  const Tensor y = model(x);
  expect_equal(y, stored["trained"], "training", 1e-4);
  backward_with(y, Tensor::from(y.shape(), spread(1001, y.size(), 2, -1)));
  expect_equal(x.grad(), stored["dx"], "dx", 1e-3);
  // A bias before batch-norm has no gradient but rounding: measured against the largest gradient.
  double largest = 0;
  for (const auto& [name, values] : stored["gradients"].items()) {
    for (const double value : values) largest = std::max(largest, std::abs(value));
  }
  for (const NamedTensor& tensor : named_tensors(model)) {
    if (!tensor.parameter) continue;
    const auto theirs = stored["gradients"][tensor.name].get<std::vector<float>>();
    const std::vector<float> ours = tensor.tensor.grad().to_vector();
    ASSERT_EQ(ours.size(), theirs.size()) << tensor.name;
    double difference = 0, norm = 0;
    for (size_t i = 0; i < ours.size(); ++i) {
      difference += (double{ours[i]} - theirs[i]) * (double{ours[i]} - theirs[i]);
      norm += double{theirs[i]} * theirs[i];
    }
    EXPECT_LT(std::sqrt(difference), 1e-3 * std::sqrt(norm) + 1e-5 * largest) << tensor.name;
  }
}

}  // namespace
}  // namespace fettle
