// A training step asks the heap for nothing once it has run: tensors come from their pool, records
// of the tape and lists from blocks that are kept (kernels/recycling.h).
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "engine/autograd.h"
#include "engine/ops/losses.h"
#include "engine/random.h"
#include "engine/train/optimizer.h"
#include "models/mask_loss.h"
#include "models/model.h"

namespace {
std::atomic<bool> counting = false;
std::atomic<int64_t> allocations = 0;

void* counted(size_t size) {
  if (counting) ++allocations;
  return std::malloc(size > 0 ? size : 1);
}
}  // namespace

// Not inlined: g++ 12 takes a pair of them for malloc() beside delete.
__attribute__((noinline)) void* operator new(size_t size) {
  if (void* p = counted(size)) return p;
  throw std::bad_alloc();
}
__attribute__((noinline)) void* operator new(size_t size, const std::nothrow_t&) noexcept {
  return counted(size);
}
__attribute__((noinline)) void operator delete(void* p) noexcept {
  std::free(p);
}
__attribute__((noinline)) void operator delete(void* p, size_t) noexcept {
  std::free(p);
}

namespace fettle {
namespace {

/// What the heap is asked for by the second to fourth step of a model.
int64_t allocations_of(const std::string& name, int64_t extent, const std::string& optimizer) {
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
  allocations = 0;
  for (uint32_t step = 0; step < 4; ++step) {
    counting = step > 0;
    const TrainingScope training(1, step);
    backward(loss((*model)(x), y));
    steps->step();
  }
  counting = false;
  return allocations;
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
