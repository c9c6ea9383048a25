#include "models/unet_xception.h"

#include <gtest/gtest.h>

#include "engine/random.h"
#include "tests/models/spread.h"
#include "tests/stored_values.h"

namespace fettle {
namespace {

TEST(UnetXception, HasTheParametersOfItsProject) {
  UnetXception model;
  EXPECT_EQ(build(model, {2, 128, 128, 3}), (Shape{2, 128, 128, 1}));
  int64_t all = 0, not_trained = 0;
  for (const NamedTensor& tensor : named_tensors(model)) {
    all += tensor.tensor.size();
    if (!tensor.trainable) not_trained += tensor.tensor.size();
  }
  EXPECT_EQ(all, 2'058'401);
  EXPECT_EQ(not_trained, 3'776);
  UnetXception other;
  EXPECT_NE(message_of([&] {
              build(other, {1, 100, 128, 3});
            }).find("multiples of 16"),
            std::string::npos);
}

TEST(UnetXception, EqualsKerasForwardAndBackward) {
  const auto stored = stored_values("unet_xception.json");
  UnetXception model;
  const Shape shape = {2, 32, 48, 3};
  build(model, shape);
  const NamedTensors tensors = named_tensors(model);
  std::vector<std::string> names;
  for (const NamedTensor& tensor : tensors) names.push_back(tensor.name);
  ASSERT_EQ(names, stored["names"].get<std::vector<std::string>>());
  set_spread_weights(tensors, [](const NamedTensor& named) {
    const Shape& s = named.tensor.shape();
    const bool transposed =
        named.name.starts_with("up") && named.name.find("conv") != std::string::npos;
    return s[1] * s[2] * (transposed ? s[0] : s[3]);
  });
  const Tensor x = Tensor::from(shape, spread(1000, shape.size(), 4, -2));
  expect_equal(model(x), stored["predicted"], "prediction", 1e-5);

  const TrainingScope training(1, 1);
  const Tensor y = model(x);
  expect_equal(y, stored["trained"], "training", 1e-5);
  backward_with(y, Tensor::from(y.shape(), spread(1001, y.size(), 2, -1)));
  // Where an activation is within rounding of 0, or of its neighbour in a window of max-pooling,
  // fp32 may send a gradient the other way: few do, and each counts for about a thousandth of a
  // length.
  expect_equal_gradients(tensors, stored["gradients"], 3e-3, 1e-5);
}

}  // namespace
}  // namespace fettle
