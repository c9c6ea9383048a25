#include <gtest/gtest.h>

#include <cmath>

#include "engine/autograd.h"
#include "engine/memory.h"
#include "engine/ops/losses.h"
#include "engine/random.h"
#include "layers/batch_normalization.h"
#include "layers/conv2d.h"
#include "layers/dense.h"
#include "layers/dropout.h"
#include "layers/elementwise.h"
#include "layers/pooling.h"
#include "layers/sequential.h"
#include "layers/upsampling.h"
#include "tests/random_values.h"

namespace fettle {
namespace {

double mean_of(const std::vector<float>& values) {
  double sum = 0;
  for (float value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

double deviation_of(const std::vector<float>& values) {
  const double mean = mean_of(values);
  double squares = 0;
  for (float value : values) squares += (value - mean) * (value - mean);
  return std::sqrt(squares / static_cast<double>(values.size()));
}

TEST(Initializers, HaveKerasLimitsAndDeviations) {
  const RandomScope random(1);
  const Shape kernel = {64, 3, 3, 32};  // fan_in 288, fan_out 576
  const std::vector<float> glorot = initial(Initializer::glorot_uniform, kernel).to_vector();
  const double limit = std::sqrt(6.0 / (288 + 576));
  for (float value : glorot) EXPECT_LE(std::abs(value), limit);
  EXPECT_NEAR(mean_of(glorot), 0, 0.002);
  EXPECT_NEAR(deviation_of(glorot), limit / std::sqrt(3.0), 0.001);

  const std::vector<float> he = initial(Initializer::he_normal, kernel).to_vector();
  const double deviation = std::sqrt(2.0 / 288);
  for (float value : he) EXPECT_LE(std::abs(value), 2 * deviation / 0.8796256610342398 + 1e-6);
  EXPECT_NEAR(deviation_of(he), deviation, 0.001);
  EXPECT_NEAR(mean_of(he), 0, 0.002);
}

TEST(Initializers, NothingIsDrawnForWeightsThatAreRead) {
  const Shape kernel = {8, 3, 3, 4};
  set_memory_poison(true);  // what nobody writes is no number
  {
    const NothingDrawn scope;
    EXPECT_TRUE(std::isnan(initial(Initializer::he_normal, kernel).to_vector()[0]));
    EXPECT_TRUE(std::isnan(initial(Initializer::glorot_uniform, kernel).to_vector()[0]));
    EXPECT_EQ(initial(Initializer::ones, kernel).to_vector()[0], 1);
  }
  EXPECT_FALSE(std::isnan(initial(Initializer::he_normal, kernel).to_vector()[0]));
  set_memory_poison(false);
}

TEST(Layers, WeightsDependOnTheSeedAlone) {
  const auto weights = [](uint64_t seed) {
    Sequential model(Conv2D(4, 3), Flatten(), Dense(2));
    build(model, {1, 6, 7, 3}, seed);
    return named_tensors(model)[0].tensor.to_vector();
  };
  EXPECT_EQ(weights(5), weights(5));
  EXPECT_NE(weights(5), weights(6));
}

TEST(Layers, DropoutActsInTrainingOnly) {
  Dropout dropout(0.5f);
  const Tensor x = Tensor::full({1000}, 1);
  EXPECT_EQ(dropout(x).to_vector(), x.to_vector());
  const TrainingScope training(1, 2);
  EXPECT_NE(dropout(x).to_vector(), x.to_vector());
}

/// The layer's tensor of that name.
Tensor tensor_of(Layer& layer, const std::string& name) {
  for (const NamedTensor& tensor : named_tensors(layer)) {
    if (tensor.name == name) return tensor.tensor;
  }
  throw Error("no tensor ", name);
}

TEST(BatchNormalization, MovesItsStatisticsByKerasMomentum) {
  BatchNormalization layer({.momentum = 0.9f});
  const Tensor x = random_tensor({4, 3, 5, 2}, 1);
  {
    const TrainingScope training(0, 0);
    const std::vector<float> y = layer(x).to_vector();
    EXPECT_NEAR(mean_of(y), 0, 1e-5);
  }
  std::vector<float> first;
  for (int64_t i = 0; i < x.size(); i += 2) first.push_back(x.data()[i]);
  const double variance = std::pow(deviation_of(first), 2);
  EXPECT_NEAR(tensor_of(layer, "running_mean").data()[0], 0.1 * mean_of(first), 1e-6);
  EXPECT_NEAR(tensor_of(layer, "running_var").data()[0], 0.9 + 0.1 * variance, 1e-5);
}

TEST(BatchNormalization, PredictsWithMovingOrBatchStatistics) {
  const Tensor x = random_tensor({4, 3, 5, 2}, 1);
  BatchNormalization moving, batch({.statistics = BatchNormalization::Statistics::Batch});
  EXPECT_LT(relative_error(moving(x).to_vector(), x.to_vector()), 1e-3);  // mean 0, variance 1
  EXPECT_NEAR(mean_of(batch(x).to_vector()), 0, 1e-5);
  EXPECT_EQ(tensor_of(batch, "running_mean").to_vector(), (std::vector<float>{0, 0}));
}

TEST(BatchNormalization, AFrozenLayerIsInInferenceMode) {
  BatchNormalization layer;
  build(layer, {1, 2, 2, 2});
  layer.set_trainable(false);
  const Tensor x = random_tensor({4, 3, 5, 2}, 1);
  const TrainingScope training(0, 0);
  EXPECT_LT(relative_error(layer(x).to_vector(), x.to_vector()), 1e-3);
  EXPECT_EQ(tensor_of(layer, "running_mean").to_vector(), (std::vector<float>{0, 0}));
  for (const NamedTensor& tensor : named_tensors(layer)) {
    EXPECT_FALSE(tensor.trainable) << tensor.name;
    EXPECT_FALSE(tensor.tensor.requires_grad()) << tensor.name;
  }
}

TEST(BatchNormalization, ItsOutputStaysWhenItsParametersChange) {
  BatchNormalization bn;
  const Tensor x = random_tensor({4, 3}, 1);
  const Tensor y = bn(x), same = bn(x);
  const std::vector<float> before = same.to_vector();
  for (NamedTensor& tensor : named_tensors(bn)) tensor.tensor.fill(5);
  EXPECT_EQ(y.to_vector(), before);
}

TEST(Sequential, NamesTensorsByKerasNamesAndFreezesAll) {
  Sequential model(Conv2D(4, 3), BatchNormalization(), Conv2D(5, 1), GlobalMaxPooling2D(),
                   Dense(2));
  build(model, {1, 6, 7, 3});
  std::vector<std::string> names;
  for (const NamedTensor& tensor : named_tensors(model)) names.push_back(tensor.name);
  EXPECT_EQ(names, (std::vector<std::string>{
                       "conv2d.weight", "conv2d.bias", "batch_normalization.weight",
                       "batch_normalization.bias", "batch_normalization.running_mean",
                       "batch_normalization.running_var", "conv2d_1.weight", "conv2d_1.bias",
                       "dense.weight", "dense.bias"}));
  model.set_trainable(false);
  for (const LayerRow& row : layer_table(model, {1, 6, 7, 3})) {
    EXPECT_EQ(row.parameters, row.non_trainable) << row.name;
  }
}

TEST(Sequential, LayersRefuseShapesThatTheyCannotTake) {
  Sequential without_flatten(Conv2D(4, 3), Dense(2));
  EXPECT_THROW(build(without_flatten, {1, 6, 7, 3}), Error);
  Sequential of_rows(Conv2D(4, 3));
  EXPECT_THROW(build(of_rows, {6, 7}), Error);
  EXPECT_THROW(Dropout(1.0f), Error);
  EXPECT_THROW(Conv2D(0, 3), Error);
}

/// Every gradient of a whole model in training mode beside differences of its loss.
TEST(WholeModel, GradientsAreTheNumericalOnes) {
  const Conv2D::Options same = {.padding = Padding::same, .activation = Activation::sigmoid};
  const Conv2D::Options strided = {.strides = {2, 1}, .activation = Activation::swish};
  Sequential model(Rescaling(0.5f), Conv2D(3, 3, same), BatchNormalization(), AveragePooling2D(),
                   UpSampling2D(), Conv2D(4, 2, strided), Dropout(0.25f), Flatten(),
                   Dense(5, Activation::swish), Dense(3));
  const Tensor x = random_tensor({3, 6, 8, 2}, 1);
  const Tensor labels = Tensor::from({3}, std::vector<int32_t>{2, 0, 1});
  build(model, x.shape(), 4);
  const auto loss = [&] {
    const TrainingScope training(3, 1);
    return sparse_categorical_cross_entropy(model(x), labels, {1, 2, 0.5f}, 0.1f);
  };
  backward(loss());
  for (const NamedTensor& named : named_tensors(model)) {
    if (!named.parameter) continue;
    Tensor w = named.tensor;
    std::vector<float> numerical, ours = w.grad().to_vector();
    double size = 0;
    for (int64_t i = 0; i < w.size(); ++i) {
      const float before = w.data()[i], step = 2e-3f;
      w.data()[i] = before + step;
      const double high = loss().item();
      w.data()[i] = before - step;
      const double low = loss().item();
      w.data()[i] = before;
      numerical.push_back(static_cast<float>((high - low) / (2 * step)));
      size = std::max<double>(size, std::abs(ours[static_cast<size_t>(i)]));
    }
    // Differences of an fp32 loss carry an error of about 1e-7 / step each.
    double worst = 0;
    for (size_t i = 0; i < ours.size(); ++i) {
      worst = std::max<double>(worst, std::abs(ours[i] - numerical[i]));
    }
    EXPECT_LT(worst, 0.01 * size + 3e-4) << named.name;
  }
}

}  // namespace
}  // namespace fettle
