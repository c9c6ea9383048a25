// A training step asks the heap for nothing once it has run: tensors come from their pool, records
// of the tape and lists from blocks that are kept (kernels/recycling.h).
#include <gtest/gtest.h>

#include "engine/autograd.h"
#include "engine/ops/losses.h"
#include "engine/random.h"
#include "engine/train/optimizer.h"
#include "kernels/parallel.h"
#include "models/mask_loss.h"
#include "models/model.h"
#include "tests/heap.h"

namespace fettle {
namespace {

/// What the heap is asked for by the second to fourth step of a model.
int64_t allocations_of(const std::string& name, int64_t extent, const std::string& optimizer) {
  const ThreadPool one(1);  // a thread that came late would have its memory to make
  const ThreadScope scope(one);
  const ModelEntry& entry = model_entry(name);
  const bool masks = entry.task == Task::segmentation;
  ModelOptions options;
  options.classes = masks ? 2 : 3;
  options.augment = "none";
  const std::unique_ptr<Layer> model = entry.make(options);
  const Shape output = build(*model, {2, extent, extent, entry.channels});
  const Tensor x = Tensor::full({2, extent, extent, entry.channels}, 0.5f);
  const Tensor y = masks ? Tensor::full(output, 1) : Tensor::from({2}, std::vector<int32_t>{0, 2});
  const LossFunction loss =
      masks ? mask_loss(entry.loss) : [](const Tensor& logits, const Tensor& labels) {
        return sparse_categorical_cross_entropy(logits, labels);
      };
  const auto steps = make_optimizer({.name = optimizer}, named_tensors(*model));
  uint32_t steps_made = 0;
  const auto step = [&] {
    const TrainingScope training(1, steps_made++);
    backward(loss((*model)(x), y));
    steps->step();
  };
  step();
  return heap::allocations([&] {
    for (int i = 0; i < 3; ++i) step();
  });
}

class TrainingStep : public testing::Test {
 protected:
  void SetUp() override {
#if defined(__SANITIZE_ADDRESS__)
    GTEST_SKIP() << "under AddressSanitizer no memory is kept";
#endif
  }
};

TEST_F(TrainingStep, OfAResidualClassifierAllocatesNothing) {
  EXPECT_EQ(allocations_of("resnet18", 64, "adam"), 0);
}
TEST_F(TrainingStep, OfASegmenterAllocatesNothing) {
  EXPECT_EQ(allocations_of("res_unet", 32, "adam"), 0);
}
TEST_F(TrainingStep, WithDropoutAllocatesNothing) {
  EXPECT_EQ(allocations_of("wreck_cnn", 64, "sgd"), 0);
}
TEST_F(TrainingStep, WithDepthwiseConvolutionsAllocatesNothing) {
  EXPECT_EQ(allocations_of("unet_xception", 32, "adamw"), 0);
}

}  // namespace
}  // namespace fettle
