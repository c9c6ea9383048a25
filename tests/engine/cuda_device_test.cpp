// Tensors, memory and copies on a GPU, or on the executor.
#if defined(FETTLE_CUDA)

#include <gtest/gtest.h>

#include "engine/autograd.h"
#include "engine/ops/arithmetic.h"
#include "engine/ops/losses.h"
#include "engine/ops/reduce.h"
#include "engine/train/device_batches.h"
#include "tests/random_values.h"
#include "tests/stored_values.h"

namespace fettle {
namespace {

class OnGpu : public testing::Test {
 protected:
  void SetUp() override {
    if (!gpu_is_there()) GTEST_SKIP() << cuda::why_no_gpu();
  }
  const Device gpu_ = Device::cuda();
  const std::vector<float> values_ = {1, -2, 3, 0.5f, 7, -1};
};

TEST_F(OnGpu, ValuesComeBackAsTheyWent) {
  const Tensor there = Tensor::from({2, 3}, values_, gpu_);
  EXPECT_EQ(there.device(), gpu_);
  EXPECT_EQ(there.to_vector(), values_);
  EXPECT_EQ(there.to(Device::cpu()).to_vector(), values_);
  EXPECT_EQ(there.to(gpu_).raw(), there.raw());
  EXPECT_EQ(there.clone().to_vector(), values_);
  Tensor here = Tensor::zeros({2, 3});
  here.copy_from(there);
  EXPECT_EQ(here.to_vector(), values_);
  const std::vector<int32_t> labels = {4, 5};
  EXPECT_EQ(Tensor::from({2}, labels, gpu_).to_vector<int32_t>(), labels);
  EXPECT_EQ(Tensor::zeros({3}, DType::f32, gpu_).to_vector(), std::vector<float>(3, 0));
  EXPECT_EQ(Tensor::full({3}, 2.5f, gpu_).to_vector(), std::vector<float>(3, 2.5f));
  EXPECT_EQ(Tensor::full({1}, 3, gpu_).item(), 3);
}

TEST_F(OnGpu, MemoryIsReusedAndCounted) {
  release_cached_memory(gpu_);
  reset_peak_memory(gpu_);
  const MemoryStats before = memory_stats(gpu_);
  const std::byte* first = nullptr;
  {
    const Tensor t = Tensor::empty({1 << 18}, DType::f32, gpu_);
    first = t.raw();
    EXPECT_EQ(memory_stats(gpu_).current - before.current, 1 << 20);
  }
  EXPECT_EQ(memory_stats(gpu_).current, before.current);
  EXPECT_GE(memory_stats(gpu_).peak, 1 << 20);
  EXPECT_EQ(Tensor::empty({1 << 18}, DType::f32, gpu_).raw(), first);
  const int64_t reserved = memory_stats(gpu_).reserved;
  release_cached_memory(gpu_);
  EXPECT_LT(memory_stats(gpu_).reserved, reserved);
}

TEST_F(OnGpu, ABlockThatIsALittleTooLargeServesBeforeTheSystemDoes) {
  release_cached_memory(gpu_);
  const int64_t before = memory_stats(gpu_).current;
  const auto reserved = [&] { return memory_stats(gpu_).reserved; };
  const auto floats = [&](int64_t n) { return Tensor::empty({n}, DType::f32, gpu_); };
  Tensor large = floats(1 << 20);
  const int64_t held = reserved();
  large = {};
  Tensor half = floats(1 << 19);  // in the block of the large one
  EXPECT_EQ(reserved(), held);
  EXPECT_EQ(memory_stats(gpu_).current - before, 4 << 19) << "what tensors hold, not their blocks";
  half = {};
  large = floats(1 << 20);  // and back
  EXPECT_EQ(reserved(), held);
  large = {};
  const Tensor small = floats(1 << 18);  // it would waste three quarters
  EXPECT_GT(reserved(), held);
}

TEST_F(OnGpu, SaysWhenThereIsNoMoreMemory) {
  const std::string message =
      message_of([&] { Tensor::empty({int64_t{1} << 40}, DType::f32, gpu_); });
  EXPECT_NE(message.find("out of memory on cuda:0"), std::string::npos) << message;
  EXPECT_NE(message.find("smaller batch"), std::string::npos) << message;
  EXPECT_EQ(Tensor::full({4}, 1, gpu_).to_vector(), std::vector<float>(4, 1));  // goes on
}

TEST_F(OnGpu, SaysWhenThereIsNoMorePinnedMemory) {
  Tensor there = Tensor::zeros({4}, DType::f32, gpu_);
  cuda::Uploader uploader(0);
  const std::string message =
      message_of([&] { uploader.start(there.raw(), values_.data(), size_t{1} << 50); });
  EXPECT_NE(message.find("pinned memory"), std::string::npos) << message;
  EXPECT_NE(message.find("smaller batch"), std::string::npos) << message;
  uploader.start(there.raw(), values_.data(), 4 * sizeof(float));
  uploader.finish();
  EXPECT_EQ(there.to_vector(), std::vector<float>(values_.begin(), values_.begin() + 4));
}

TEST_F(OnGpu, AKernelThatCannotStartIsAnErrorLikeOthers) {
  EXPECT_EQ(message_of([&] { on(gpu_, [](auto) { throw CudaError("the kernel k failed"); }); }),
            "the kernel k failed");
}

TEST_F(OnGpu, SmallCopiesKeepTheirOrderAndTheirBytes) {
  std::vector<Tensor> there;
  std::vector<float> values;
  for (int i = 1; i <= 100; ++i) {
    values.assign(static_cast<size_t>(37 * i), static_cast<float>(i));
    there.push_back(Tensor::from({37 * i}, values, gpu_));
  }
  for (int i = 1; i <= 100; ++i) {
    EXPECT_EQ(there[static_cast<size_t>(i - 1)].to_vector(),
              std::vector<float>(static_cast<size_t>(37 * i), static_cast<float>(i)));
  }
  const std::vector<float> large(300'001, 3);  // more than what is copied aside
  EXPECT_EQ(Tensor::from({300'001}, large, gpu_).to_vector(), large);
}

TEST_F(OnGpu, PoisonMakesFreshMemoryNaN) {
  set_memory_poison(true);
  const Tensor t = Tensor::empty({5}, DType::f32, gpu_);
  set_memory_poison(false);
  for (const float value : t.to_vector()) EXPECT_TRUE(std::isnan(value));
}

TEST_F(OnGpu, MixedDevicesAreRefused) {
  const Tensor here = Tensor::zeros({2}), there = Tensor::zeros({2}, DType::f32, gpu_);
  const std::string message = message_of([&] { here + there; });
  EXPECT_NE(message.find("add: one input is on cpu and another on cuda:0"), std::string::npos)
      << message;
}

TEST_F(OnGpu, GradientsStayThere) {
  const Tensor x = leaf(Tensor::from({6}, values_, gpu_));
  backward(mean(x * x));
  EXPECT_EQ(x.grad().device(), gpu_);
  const std::vector<float> gradient = x.grad().to_vector();
  for (size_t i = 0; i < values_.size(); ++i) EXPECT_FLOAT_EQ(gradient[i], values_[i] / 3);
}

TEST_F(OnGpu, LossesTakeLabelsFromTheHost) {
  const std::vector<int32_t> labels = {1, 2};
  const Tensor here = Tensor::from({2, 3}, values_);
  const Tensor there = Tensor::from({2, 3}, values_, gpu_);
  const Tensor targets = Tensor::from({2}, labels);
  const std::vector<float> weights = {1, 2, 3};
  EXPECT_FLOAT_EQ(sparse_categorical_cross_entropy(there, targets, weights).item(),
                  sparse_categorical_cross_entropy(here, targets, weights).item());
  EXPECT_FLOAT_EQ(
      binary_cross_entropy(there.view({6}).clone().view({6, 1}),
                           Tensor::from({6, 1}, std::vector<float>(6, 1)))
          .item(),
      binary_cross_entropy(here.view({6, 1}), Tensor::from({6, 1}, std::vector<float>(6, 1)))
          .item());
}

/// Batches of one number, of growing size.
class Growing : public BatchSource {
 public:
  void start_epoch(uint32_t) override { next_ = 0; }
  std::optional<Batch> next() override {
    if (next_ == 5) return {};
    ++next_;
    return Batch{Tensor::full({next_, 2}, static_cast<float>(next_)),
                 Tensor::from({1}, std::vector<int32_t>{static_cast<int32_t>(next_)})};
  }
  int64_t batches() const override { return 5; }
  int64_t examples() const override { return 15; }

 private:
  int64_t next_ = 0;
};

TEST_F(OnGpu, BatchesArriveInOrder) {
  Growing source;
  for (const Device device : {Device::cpu(), gpu_}) {
    DeviceBatches batches(source, device);
    for (uint32_t epoch = 0; epoch < 3; ++epoch) {
      batches.start_epoch(epoch);
      // The second epoch is left in its middle.
      for (int64_t i = 1; i <= (epoch == 1 ? 2 : 5); ++i) {
        const std::optional<Batch> batch = batches.next();
        ASSERT_TRUE(batch);
        EXPECT_EQ(batch->x.device(), device);
        EXPECT_EQ(batch->y.device(), Device::cpu());
        EXPECT_EQ(batch->x.to_vector(),
                  std::vector<float>(static_cast<size_t>(2 * i), static_cast<float>(i)));
      }
      if (epoch != 1) {
        EXPECT_FALSE(batches.next());
      }
    }
  }
}

/// One batch of `pictures` elements with a mask as large, or a broken picture instead of it.
class Large : public BatchSource {
 public:
  explicit Large(int64_t pictures) : pictures_(pictures) {}
  void start_epoch(uint32_t epoch) override {
    require(epoch < 2, "a picture is broken");
    left_ = 2;
  }
  std::optional<Batch> next() override {
    if (left_-- == 0) return {};
    return Batch{
        Tensor::full({pictures_, 1}, 1),
        Tensor::from({pictures_, 1}, std::vector<uint8_t>(static_cast<size_t>(pictures_), 2)),
        Tensor::full({3}, 4)};
  }
  int64_t batches() const override { return 2; }
  int64_t examples() const override { return 2 * pictures_; }

 private:
  int64_t pictures_, left_ = 0;
};

TEST_F(OnGpu, MasksTravelWithTheirPictures) {
  Large source(1000);
  DeviceBatches batches(source, gpu_);
  batches.start_epoch(0);
  for (int i = 0; i < 2; ++i) {
    const std::optional<Batch> batch = batches.next();
    ASSERT_TRUE(batch);
    EXPECT_EQ(batch->y.device(), gpu_);
    EXPECT_EQ(batch->x.to_vector(), std::vector<float>(1000, 1));
    EXPECT_EQ(batch->y.to_vector<uint8_t>(), std::vector<uint8_t>(1000, 2));
    EXPECT_EQ(batch->scaling.device(), gpu_);
    EXPECT_EQ(batch->scaling.to_vector(), std::vector<float>(3, 4));
  }
  EXPECT_FALSE(batches.next());
}

TEST_F(OnGpu, ABatchThatCannotTravelIsAnErrorAndNoMore) {
  constexpr int64_t MiB = 1 << 18;  // of f32
  release_cached_memory(gpu_);
  Large too_large(80 * MiB);
  std::vector<Tensor> hog;
  EXPECT_THROW(while (true) hog.push_back(Tensor::empty({64 * MiB}, DType::f32, gpu_)), Error);
  {
    DeviceBatches batches(too_large, gpu_);
    EXPECT_NE(message_of([&] { batches.start_epoch(0); }).find("out of memory on cuda:0"),
              std::string::npos);
  }
  hog.clear();
  release_cached_memory(gpu_);
  {
    Large source(10);
    DeviceBatches batches(source, gpu_);
    batches.start_epoch(1);
    batches.next();  // the second one is on its way
    EXPECT_EQ(message_of([&] { batches.start_epoch(2); }), "a picture is broken");
  }
}

}  // namespace
}  // namespace fettle

#endif
