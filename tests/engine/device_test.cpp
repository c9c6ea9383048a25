// What devices promise with and without a GPU.
#include <gtest/gtest.h>

#include "engine/ops/arithmetic.h"
#include "engine/train/device_batches.h"
#include "tests/stored_values.h"

namespace fettle {
namespace {

TEST(Device, HasANameAndIsItself) {
  EXPECT_EQ(to_string(Device::cpu()), "cpu");
  EXPECT_EQ(to_string(Device::cuda(3)), "cuda:3");
  EXPECT_EQ(to_string(Device::meta()), "meta");
  EXPECT_EQ(Device::cuda(), Device::cuda(0));
  EXPECT_NE(Device::cuda(1), Device::cuda(0));
}

TEST(Device, MovingToWhereATensorIsCopiesNothing) {
  const Tensor t = leaf(Tensor::full({2, 3}, 4));
  const Tensor same = t.to(Device::cpu());
  EXPECT_EQ(same.raw(), t.raw());
  EXPECT_FALSE(same.requires_grad());
  EXPECT_FALSE(Tensor().to(Device::cuda(1000)).defined());
}

TEST(Device, MetaHasAShapeAndNoElements) {
  const Tensor t = Tensor::full({2, 3}, 4), meta = t.to(Device::meta());
  EXPECT_EQ(meta.shape(), t.shape());
  EXPECT_EQ(meta.raw(), nullptr);
  EXPECT_EQ((meta + meta).shape(), t.shape());
  EXPECT_EQ(message_of([&] { meta.to_vector(); }),
            "a meta tensor of shape [2, 3] has no elements to read");
  EXPECT_EQ(message_of([&] { meta.to(Device::cpu()); }), "a meta tensor has no elements to copy");
  EXPECT_EQ(memory_stats(Device::meta()).current, 0);
}

TEST(Device, CopiesNeedOneShapeAndType) {
  Tensor t = Tensor::zeros({2, 3});
  EXPECT_EQ(message_of([&] {
              t.copy_from(Tensor::zeros({3, 2}));
            }),
            "a tensor of f32[3, 2] cannot be copied into one of f32[2, 3]");
  EXPECT_THROW(t.copy_from(Tensor::zeros({2, 3}, DType::i32)), Error);
}

TEST(Device, AGpuThatIsNotThereIsRefusedInOneSentence) {
  const Device nowhere = Device::cuda(1000);
  const std::string reason =
      cuda::gpus().empty() ? cuda::why_no_gpu() : "there is no cuda:1000; there ";
  const Tensor here = Tensor::zeros({2});
  for (const std::function<void()>& use : std::vector<std::function<void()>>{
           [&] { cuda::require_gpu(1000); },
           [&] { on(nowhere, [](auto) {}); },
           [&] { here.to(nowhere); },
           [&] { Tensor::full({2}, 1, nowhere); },
           [&] { cuda::Uploader uploader(1000); },
       }) {
    const std::string message = message_of(use);
    EXPECT_EQ(message.find(reason), 0u) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos);
  }
  if (cuda::gpus().empty()) {
    EXPECT_NE(reason.find("use --device cpu"), std::string::npos) << reason;
  }
}

/// Hands out one batch, always the same.
class One : public BatchSource {
 public:
  void start_epoch(uint32_t) override { left_ = 1; }
  std::optional<Batch> next() override {
    return left_-- > 0 ? std::optional<Batch>(batch_) : std::nullopt;
  }
  int64_t batches() const override { return 1; }
  int64_t examples() const override { return 2; }

  const Batch batch_ = {Tensor::full({2, 1}, 1), Tensor::zeros({2}, DType::i32)};

 private:
  int left_ = 0;
};

TEST(Device, OnTheCpuBatchesPassAsTheyAre) {
  One source;
  DeviceBatches batches(source, Device::cpu());
  EXPECT_EQ(batches.batches(), 1);
  EXPECT_EQ(batches.examples(), 2);
  batches.start_epoch(0);
  const std::optional<Batch> batch = batches.next();
  ASSERT_TRUE(batch);
  EXPECT_EQ(batch->x.raw(), source.batch_.x.raw());
  EXPECT_EQ(batch->y.raw(), source.batch_.y.raw());
  EXPECT_FALSE(batches.next());
}

}  // namespace
}  // namespace fettle
