// The same training on the CPU and on a GPU, or on the executor.
#if defined(FETTLE_CUDA)

#include <gtest/gtest.h>

#include "engine/ops/losses.h"
#include "engine/train/device_batches.h"
#include "engine/train/fit.h"
#include "kernels/conv2d/plan.h"
#include "layers/augmentation.h"
#include "layers/batch_normalization.h"
#include "layers/conv2d.h"
#include "layers/dense.h"
#include "layers/dropout.h"
#include "layers/elementwise.h"
#include "layers/pooling.h"
#include "layers/sequential.h"
#include "tests/random_values.h"

namespace fettle {
namespace {

/// 16 made pictures in batches of 8: those of class 1 have a bright quarter.
class Pictures : public BatchSource {
 public:
  void start_epoch(uint32_t) override { next_ = 0; }
  std::optional<Batch> next() override {
    if (next_ == 2) return {};
    const Array<> noise = random_values(8 * 12 * 16 * 3, static_cast<uint32_t>(next_ + 1));
    std::vector<float> x(noise.begin(), noise.end());
    std::vector<int32_t> y;
    for (int n = 0; n < 8; ++n) {
      y.push_back(n % 2);
      for (int i = 0; i < 12 * 16 * 3; ++i) {
        float& value = x[static_cast<size_t>(n * 12 * 16 * 3 + i)];
        value = 100 + 20 * value + (n % 2 == 1 && i < 3 * 16 * 3 ? 80.0f : 0.0f);
      }
    }
    ++next_;
    return Batch{Tensor::from({8, 12, 16, 3}, x), Tensor::from({8}, y)};
  }
  int64_t batches() const override { return 2; }
  int64_t examples() const override { return 16; }

 private:
  int64_t next_ = 0;
};

/// Without a bias before batch-norm: its gradient is nothing but rounding, which Adam would blow
/// up.
struct SmallRun {
  explicit SmallRun(Device device, int64_t epochs)
      : device_(device),
        model_(Rescaling(1.0f / 255), RandomFlip(FlipMode::horizontal), RandomContrast(0.1f),
               Conv2D(8, 3, {.padding = Padding::same, .use_bias = false}), BatchNormalization(),
               ReLU(), MaxPooling2D(), Conv2D(12, 3, {.activation = Activation::relu}),
               Dropout(0.3f), Flatten(), Dense(2)) {
    build(model_, {1, 12, 16, 3}, 5);
    move_to(model_, device);
    tensors_ = named_tensors(model_);
    optimizer_ = make_optimizer({.name = "adam", .learning_rate = 0.01f}, tensors_);
    trainer_.emplace(
        [this](const Tensor& x) { return model_(x); }, tensors_,
        [](const Tensor& logits, const Tensor& labels) {
          return sparse_categorical_cross_entropy(logits, labels);
        },
        *optimizer_, std::vector<std::unique_ptr<Callback>>{},
        FitOptions{.epochs = epochs,
                   .seed = 3,
                   .on_batch = [this](const BatchProgress& p) { losses_.push_back(p.loss); },
                   .on_epoch = {},
                   .checkpoint = {},
                   .interrupted = {}});
  }
  void fit() {
    DeviceBatches train(pictures_, device_), validation(unseen_, device_);
    trainer_->fit(train, &validation);
  }

  Device device_;
  Sequential model_;
  NamedTensors tensors_;
  std::unique_ptr<Optimizer> optimizer_;
  Pictures pictures_, unseen_;
  std::vector<double> losses_;
  std::optional<Trainer> trainer_;
};

// Both sum in fp32 in different orders; six steps of Adam let that grow to this.
constexpr double tolerance = 1e-4;

TEST(CudaTraining, FollowsTheCpuStepByStep) {
  if (!gpu_is_there()) GTEST_SKIP() << cuda::why_no_gpu();
  SmallRun cpu(Device::cpu(), 3), gpu(Device::cuda(), 3);
  cpu.fit();
  gpu.fit();
  ASSERT_EQ(cpu.losses_.size(), 6u);
  for (size_t i = 0; i < 6; ++i) {
    EXPECT_NEAR(gpu.losses_[i] / cpu.losses_[i], 1, tolerance) << "step " << i;
  }
  EXPECT_LT(cpu.losses_.back(), cpu.losses_.front());
  EXPECT_NEAR(figure(gpu.trainer_->history().back(), "val_loss") /
                  figure(cpu.trainer_->history().back(), "val_loss"),
              1, tolerance);
  for (const NamedTensor& tensor : gpu.tensors_) {
    EXPECT_EQ(tensor.tensor.device(), Device::cuda()) << tensor.name;
  }
}

/// What GPUs compute with, until the end of a test.
struct GpuPrecision {
  explicit GpuPrecision(Precision precision) { set_gpu_precision(precision); }
  ~GpuPrecision() { set_gpu_precision(Precision::fp32); }
};

TEST(CudaTraining, InBf16FollowsWithThreeDigits) {
  if (gpu_compute_capability() < 80) GTEST_SKIP() << "no GPU of sm_80";
  SmallRun cpu(Device::cpu(), 3);
  cpu.fit();
  const GpuPrecision bf16(Precision::bf16);
  SmallRun gpu(Device::cuda(), 3), again(Device::cuda(), 3);
  gpu.fit();
  again.fit();
  EXPECT_EQ(gpu.losses_, again.losses_);
  for (size_t i = 0; i < 6; ++i) {
    // Adam carries a difference of the first step on.
    EXPECT_NEAR(gpu.losses_[i] / cpu.losses_[i], 1, i == 0 ? 0.01 : 0.1) << "step " << i;
    EXPECT_NE(gpu.losses_[i], cpu.losses_[i]);
  }
  for (const NamedTensor& tensor : gpu.tensors_) {
    EXPECT_EQ(tensor.tensor.dtype(), DType::f32) << tensor.name;
  }
}

TEST(CudaTraining, GivesTheSameBitsAgain) {
  if (!gpu_is_there()) GTEST_SKIP() << cuda::why_no_gpu();
  SmallRun first(Device::cuda(), 1), second(Device::cuda(), 1);
  first.fit();
  second.fit();
  for (size_t i = 0; i < first.tensors_.size(); ++i) {
    EXPECT_EQ(first.tensors_[i].tensor.to_vector(), second.tensors_[i].tensor.to_vector())
        << first.tensors_[i].name;
  }
}

TEST(CudaTraining, GoesOnFromACheckpointOfTheOtherDevice) {
  if (!gpu_is_there()) GTEST_SKIP() << cuda::why_no_gpu();
  SmallRun whole(Device::cpu(), 2), first(Device::cuda(), 1), second(Device::cpu(), 2);
  whole.fit();
  first.fit();
  second.trainer_->restore(first.trainer_->state());
  second.fit();
  EXPECT_EQ(second.losses_.size(), 2u);
  EXPECT_NEAR(second.losses_.back() / whole.losses_.back(), 1, tolerance);
}

}  // namespace
}  // namespace fettle

#endif
