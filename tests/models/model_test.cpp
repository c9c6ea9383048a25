#include "models/model.h"

#include <gtest/gtest.h>

#include "engine/autograd.h"
#include "engine/memory.h"
#include "engine/ops/losses.h"
#include "engine/random.h"
#include "engine/train/optimizer.h"
#include "models/mask_loss.h"
#include "tests/random_values.h"

namespace fettle {
namespace {

int64_t parameters_of(const std::string& name, int64_t extent) {
  const std::unique_ptr<Layer> model = model_entry(name).make({});
  build(*model, {1, extent, extent, 3});
  int64_t count = 0;
  for (const NamedTensor& tensor : named_tensors(*model)) count += tensor.tensor.size();
  return count;
}

TEST(Models, HaveTheParametersOfTheirProjects) {
  EXPECT_EQ(parameters_of("tyre_cnn", 512), 33'578'402);
  EXPECT_EQ(parameters_of("tyre_cnn", 416), 22'175'138);
  EXPECT_EQ(parameters_of("wreck_cnn", 224), 4'365'285);
}

TEST(Models, DefectCnnHasTheSameParametersAtAnySize) {
  // Five convolutions without bias, four numbers a channel for batch-norm, one dense layer.
  const int64_t weights = 9 * (3 * 16 + 16 * 32 + 32 * 64 + 64 * 64 + 64 * 128);
  const int64_t normalisation = 4 * (16 + 32 + 64 + 64 + 128);
  EXPECT_EQ(parameters_of("defect_cnn", 160), weights + normalisation + 2 * 128 + 2);
  EXPECT_EQ(parameters_of("defect_cnn", 97), weights + normalisation + 2 * 128 + 2);
}

TEST(Models, GiveOneLogitOrOneAClass) {
  const auto output = [](const std::string& name, int64_t classes) {
    return build(*model_entry(name).make({.classes = classes}), {3, 64, 64, 3});
  };
  EXPECT_EQ(output("tyre_cnn", 2), (Shape{3, 2}));
  EXPECT_EQ(output("wreck_cnn", 2), (Shape{3, 1}));
  EXPECT_EQ(output("wreck_cnn", 5), (Shape{3, 5}));
}

TEST(Models, TheTableNamesLayersAsKerasDoes) {
  const std::vector<LayerRow> rows =
      layer_table(*model_entry("wreck_cnn").make({}), {1, 224, 224, 3});
  ASSERT_EQ(rows.size(), 12u);
  EXPECT_EQ(rows[1].name, "conv2d");
  EXPECT_EQ(rows[1].output, (Shape{1, 222, 222, 16}));
  EXPECT_EQ(rows[1].parameters, 448);
  EXPECT_EQ(rows[3].name, "conv2d_1");
  EXPECT_EQ(rows.back().name, "dense_3");
}

TEST(Models, AStepAfterTheFirstTakesNoMemoryFromTheSystem) {
  for (const std::string name : {"defect_cnn", "resnet18", "res_unet"}) {
    const ModelEntry& entry = model_entry(name);
    const bool masks = entry.task == Task::segmentation;
    const std::unique_ptr<Layer> model = entry.make({.classes = 2, .augment = "none", .width = 8});
    const Tensor x = random_tensor({2, 32, 32, entry.channels}, 1);
    const Shape output = build(*model, x.shape());
    const Tensor y = masks ? Tensor::zeros(output) : Tensor::from({2}, std::vector<int32_t>{0, 1});
    const auto optimizer = make_optimizer({}, named_tensors(*model));
    uint32_t step = 0;
    const auto one_step = [&] {
      const TrainingScope training(1, step++);
      const Tensor logits = (*model)(x);
      backward(masks ? mask_loss(entry.loss)(logits, y)
                     : sparse_categorical_cross_entropy(logits, y));
      optimizer->step();
    };
    release_cached_memory();
    one_step();
    const int64_t reserved = memory_stats().reserved;
    for (int i = 0; i < 3; ++i) one_step();
    EXPECT_EQ(memory_stats().reserved, reserved) << name;
  }
}

TEST(Models, UnknownNamesAndAugmentationsAreRefused) {
  EXPECT_THROW(model_entry("alexnet"), Error);
  for (const char* text : {"spin=1", "flip=sideways", "zoom=", "zoom=2", "rotation=0.1x"}) {
    EXPECT_THROW(model_entry("tyre_cnn").make({.classes = 2, .augment = text}), Error) << text;
  }
}

}  // namespace
}  // namespace fettle
