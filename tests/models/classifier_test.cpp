#include "models/classifier.h"

#include <gtest/gtest.h>

#include "engine/autograd.h"
#include "engine/ops/losses.h"
#include "engine/random.h"
#include "engine/train/optimizer.h"
#include "tests/random_values.h"

namespace fettle {
namespace {

constexpr const char* small_head = "pool,dropout=0.2,dense=1";

std::unique_ptr<Layer> small_classifier() {
  auto model = model_entry("resnet18").make({.augment = "none", .width = 8, .head = small_head});
  build(*model, {1, 64, 64, 3});
  return model;
}

Layer& backbone_of(Layer& model) {
  return dynamic_cast<Classifier&>(model).backbone();
}

std::vector<std::vector<float>> values_of(const NamedTensors& tensors) {
  std::vector<std::vector<float>> values;
  for (const NamedTensor& named : tensors) values.push_back(named.tensor.to_vector());
  return values;
}

/// Bytes beside model and pictures.
struct Bytes {
  int64_t kept = 0;  ///< between the forward and the backward pass
  int64_t peak = 0;
};

/// One training step on four pictures.
Bytes train_step(Layer& model, Optimizer* optimizer) {
  const Tensor x = random_tensor({4, 64, 64, 3}, 1).to(Device::cpu());
  const Tensor labels = Tensor::from({4}, std::vector<int32_t>{0, 1, 1, 0});
  reset_peak_memory();
  const int64_t before = memory_stats().current;
  const TrainingScope training(1, 1);
  const Tensor loss = binary_cross_entropy(model(x), labels, {}, 0);
  const int64_t kept = memory_stats().current - before;
  backward(loss);
  if (optimizer) optimizer->step();
  return {kept, memory_stats().peak - before};
}

TEST(Classifier, AFrozenBackboneKeepsNothingForTheBackwardPass) {
  const auto model = small_classifier();
  const Bytes whole = train_step(*model, nullptr);
  for (NamedTensor& named : named_tensors(*model)) named.tensor.clear_grad();
  backbone_of(*model).set_trainable(false);
  const Bytes frozen = train_step(*model, nullptr);
  EXPECT_LT(100 * frozen.kept, whole.kept) << frozen.kept << " bytes against " << whole.kept;
  EXPECT_LT(3 * frozen.peak, whole.peak) << frozen.peak << " bytes against " << whole.peak;
}

TEST(Classifier, AFrozenBackboneStaysBitForBitAndLearnsWhenItIsFreed) {
  const auto model = small_classifier();
  const auto optimizer = make_optimizer({}, named_tensors(*model));
  Layer& backbone = backbone_of(*model);
  const auto before = values_of(named_tensors(backbone));
  const auto head = values_of(named_tensors(dynamic_cast<Classifier&>(*model).head()));

  backbone.set_trainable(false);
  train_step(*model, optimizer.get());
  EXPECT_EQ(values_of(named_tensors(backbone)), before);  // the moving statistics, too
  EXPECT_NE(values_of(named_tensors(dynamic_cast<Classifier&>(*model).head())), head);

  backbone.set_trainable(true);
  optimizer->rebind(named_tensors(*model));
  train_step(*model, optimizer.get());
  const auto after = values_of(named_tensors(backbone));
  for (size_t i = 0; i < after.size(); ++i)
    EXPECT_NE(after[i], before[i]) << named_tensors(backbone)[i].name;
}

TEST(Classifier, AFrozenBackboneIsTheSameInTrainingAndInPrediction) {
  const auto model = small_classifier();
  Layer& backbone = backbone_of(*model);
  const Tensor x = random_tensor({2, 64, 64, 3}, 1).to(Device::cpu());
  const auto predicted = backbone(x).to_vector();
  const TrainingScope training(1, 1);
  EXPECT_NE(backbone(x).to_vector(), predicted);
  backbone.set_trainable(false);
  EXPECT_NE(backbone(x).to_vector(), predicted);  // the call before moved the statistics ...
  const auto frozen = backbone(x).to_vector();
  EXPECT_EQ(backbone(x).to_vector(), frozen);  // ... and this one does not
}

}  // namespace
}  // namespace fettle
