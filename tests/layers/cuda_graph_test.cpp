// Training steps as CUDA graphs, on a GPU or on the executor: the same bits as without.
#if defined(FETTLE_CUDA)

#include <gtest/gtest.h>

#include "engine/autograd.h"
#include "engine/ops/activation.h"
#include "engine/ops/arithmetic.h"
#include "engine/ops/losses.h"
#include "engine/random.h"
#include "engine/train/device_batches.h"
#include "engine/train/fit.h"
#include "engine/train/mask_metrics.h"
#include "layers/augmentation.h"
#include "layers/batch_normalization.h"
#include "layers/conv2d.h"
#include "layers/dense.h"
#include "layers/dropout.h"
#include "layers/elementwise.h"
#include "layers/pooling.h"
#include "layers/sequential.h"
#include "tests/random_values.h"
#include "tests/stored_values.h"

namespace fettle {
namespace {

/// Batches of 4, 4, 4, 3, 4, 4 and 2 noisy pictures of 8x10, others in each epoch; those with masks
/// as bytes.
class Noise : public BatchSource {
 public:
  enum Targets { classes, numbers, masks };  ///< for logits [N,2], [N,1] or [N,8,10,1]
  explicit Noise(Targets targets) : targets_(targets) {}

  void start_epoch(uint32_t epoch) override {
    epoch_ = epoch;
    next_ = 0;
  }
  std::optional<Batch> next() override {
    constexpr std::array<int64_t, 7> sizes = {4, 4, 4, 3, 4, 4, 2};
    if (next_ == sizes.size()) return {};
    const int64_t n = sizes[next_];
    const auto seed = static_cast<uint32_t>(++next_ + 10 * epoch_);
    const Array<> noise = random_values(n * 8 * 10 * 3, seed);
    std::vector<float> x;
    for (const float value : noise) x.push_back(100 + 20 * value);
    std::vector<int32_t> labels;
    for (int64_t i = 0; i < n; ++i) labels.push_back((static_cast<int32_t>(seed) >> i) & 1);
    if (targets_ != masks) return Batch{Tensor::from({n, 8, 10, 3}, x), Tensor::from({n}, labels)};
    std::vector<uint8_t> mask;
    for (size_t i = 0; i < x.size(); i += 3) mask.push_back(x[i] > 100);
    std::vector<float> scaling;
    for (int64_t i = 0; i < n; ++i) scaling.insert(scaling.end(), {100.0f + x[i], 0.7f});
    return Batch{Tensor::from({n, 8, 10, 3}, std::vector<uint8_t>(x.begin(), x.end())),
                 Tensor::from({n, 8, 10, 1}, mask), Tensor::from({n, 2}, scaling)};
  }
  int64_t batches() const override { return 7; }
  int64_t examples() const override { return 25; }

 private:
  Targets targets_;
  uint32_t epoch_ = 0;
  size_t next_ = 0;
};

/// What an epoch or two leave.
struct Outcome {
  std::vector<double> losses;
  std::vector<std::vector<float>> tensors;  ///< the model's and the optimiser's
  EpochLog figures;
  int calls = 0;  ///< of the model
};

/// Leaves the first convolution as it is in the second of three epochs.
class Freezing : public Callback {
 public:
  explicit Freezing(Sequential& model) : model_(model) {}
  void on_epoch_begin(int64_t epoch, TrainingControl& control) override {
    Members members;
    model_.members(members);
    for (const Members::Entry& entry : members.entries()) {
      if (!entry.layer || entry.layer->kind() != "Conv2D") continue;
      entry.layer->set_trainable(epoch != 1);
      break;
    }
    control.optimizer.rebind(named_tensors(model_));
  }
  void on_epoch_end(int64_t, const EpochLog&, TrainingControl&) override {}
  std::string name() const override { return "freezing"; }

 private:
  Sequential& model_;
};

struct Run {
  Run(Noise::Targets targets, const OptimizerOptions& optimizer) : targets_(targets) {
    const bool masks = targets == Noise::masks;
    model_.add(Rescaling(1.0f / 255));
    if (!masks) {  // masks are moved by FitOptions::augment
      model_.add(RandomFlip()).add(RandomRotation(0.1f)).add(RandomZoom(0.2f));
      model_.add(RandomContrast(0.3f)).add(RandomBrightness(0.1f));
    }
    model_.add(Conv2D(4, 3, {.padding = Padding::same, .use_bias = false}));
    model_.add(BatchNormalization()).add(ReLU()).add(Dropout(0.3f));
    if (masks) {
      model_.add(Conv2D(1, 3, {.padding = Padding::same}));
    } else {
      model_.add(MaxPooling2D()).add(Flatten()).add(Dense(5, Activation::relu));
      model_.add(Dropout(0.2f)).add(Dense(targets == Noise::classes ? 2 : 1));
    }
    build(model_, {1, 8, 10, 3}, 5);
    move_to(model_, Device::cuda());
    tensors_ = named_tensors(model_);
    optimizer_ = make_optimizer(optimizer, tensors_);
    moves_.add(RandomFlip());
    moves_.add(RandomRotation(0.1f));
  }

  Outcome fit(bool cuda_graph, bool freezes = false) {
    Outcome outcome;
    FitOptions options{
        .epochs = freezes ? 3 : 2, .seed = 3, .on_epoch = {}, .checkpoint = {}, .interrupted = {}};
    options.cuda_graph = cuda_graph;
    options.on_batch = [&](const BatchProgress& p) {
      outcome.losses.push_back(p.loss);
      optimizer_->set_learning_rate(optimizer_->learning_rate() * 0.9f);  // while the graph stays
    };
    if (targets_ == Noise::masks) {
      options.augment = [this](Batch& batch) { moves_.apply(batch.x, &batch.y); };
    }
    if (targets_ == Noise::masks) {
      options.counter = [] {
        return std::make_unique<MaskMetricsCounter>(std::vector<std::string>{"kind"});
      };
    }
    const auto model = [&](const Tensor& x) {
      ++outcome.calls;
      return model_(x);
    };
    std::vector<std::unique_ptr<Callback>> callbacks;
    if (freezes) callbacks.push_back(std::make_unique<Freezing>(model_));
    Trainer trainer(model, tensors_, loss(), *optimizer_, std::move(callbacks), options);
    Noise noise(targets_);
    DeviceBatches batches(noise, Device::cuda());
    trainer.fit(batches, nullptr);
    for (const NamedTensors& all : {tensors_, optimizer_->slots()}) {
      for (const NamedTensor& t : all) outcome.tensors.push_back(t.tensor.to_vector());
    }
    outcome.figures = trainer.history().back();
    return outcome;
  }

  LossFunction loss() const {
    if (targets_ == Noise::masks) {
      return [](const Tensor& logits, const Tensor& y) {
        return dice_loss(sigmoid(logits), y) + binary_cross_entropy(logits, y);
      };
    }
    if (targets_ == Noise::numbers) {
      return [](const Tensor& logits, const Tensor& y) {
        return binary_cross_entropy(logits, y, {1, 2});
      };
    }
    return [](const Tensor& logits, const Tensor& y) {
      return sparse_categorical_cross_entropy(logits, y, {1, 3});
    };
  }

  Noise::Targets targets_;
  Sequential model_;
  Augmentation moves_;
  NamedTensors tensors_;
  std::unique_ptr<Optimizer> optimizer_;
};

class CudaGraphs : public testing::Test {
 protected:
  void SetUp() override {
    if (!gpu_is_there()) GTEST_SKIP() << cuda::why_no_gpu();
  }
};

void expect_same_bits(Noise::Targets targets, const OptimizerOptions& optimizer,
                      bool freezes = false) {
  const Outcome plain = Run(targets, optimizer).fit(false, freezes);
  const Outcome captured = Run(targets, optimizer).fit(true, freezes);
  EXPECT_EQ(captured.losses, plain.losses);
  EXPECT_EQ(captured.tensors, plain.tensors);
  EXPECT_EQ(captured.figures, plain.figures);
  EXPECT_EQ(plain.calls, freezes ? 21 : 14);
  // The first batch and the capture, of each epoch that trains others, and two batches of other
  // sizes an epoch.
  EXPECT_EQ(captured.calls, freezes ? 12 : 6);
}

TEST_F(CudaGraphs, TrainAClassifierWithAdam) {
  expect_same_bits(Noise::classes, {.name = "adam", .learning_rate = 0.01f});
}
TEST_F(CudaGraphs, TrainOneLogitWithSgd) {
  expect_same_bits(Noise::numbers, {.name = "sgd", .momentum = 0.9f, .nesterov = true});
}
TEST_F(CudaGraphs, TrainOneLogitWithNadam) {
  expect_same_bits(Noise::numbers, {.name = "nadam"});
}
TEST_F(CudaGraphs, TrainMasksWithAdamW) {
  expect_same_bits(Noise::masks, {.name = "adamw"});
}

TEST_F(CudaGraphs, AreCapturedAnewWhenOtherTensorsAreTrained) {
  expect_same_bits(Noise::classes, {.name = "adam", .learning_rate = 0.01f}, true);
}

TEST_F(CudaGraphs, SayWhatCannotBeCaptured) {
  const Device gpu = Device::cuda();
  const Batch batch{Tensor::zeros({2, 3}, DType::f32, gpu), Tensor::zeros({2}, DType::i32)};
  const auto reads = [](const Batch& b) -> StepResult {
    const Tensor sum = b.x + b.x;
    if (sum.to_vector()[0] > 0) return {};
    return {sum, b.y, sum};
  };
  EXPECT_EQ(message_of([&] { StepGraph(gpu, batch, reads); }),
            "the training step cannot be captured as a CUDA graph: reading a tensor on the host "
            "cannot be part of a CUDA graph, which starts again without the host; train without "
            "--cuda-graph");
  EXPECT_EQ((batch.x + batch.x).to_vector(), std::vector<float>(6, 0));  // goes on
}

TEST_F(CudaGraphs, RefuseABadLabelOfALaterBatch) {
  const Device gpu = Device::cuda();
  const auto labels = [](int32_t last) { return Tensor::from({2}, std::vector<int32_t>{1, last}); };
  const Tensor x = Tensor::zeros({2, 3}, DType::f32, gpu);
  StepGraph graph(gpu, {x, labels(0)}, [](const Batch& b) -> StepResult {
    return {b.x, b.y, sparse_categorical_cross_entropy(b.x, b.y)};
  });
  EXPECT_NEAR(graph.run({x, labels(2)}).loss.item(), std::log(3.0), 1e-6);
  EXPECT_NE(message_of([&] {
              graph.run({x, labels(3)});
            }).find("the label 3 is not one of the 3"),
            std::string::npos);
}

// What a launch computes in must not be what others compute in between launches.
TEST_F(CudaGraphs, KeepTheirMemoryAndGiveItBack) {
  const Device gpu = Device::cuda();
  const Tensor x = random_tensor({1000}, 1).to(gpu);
  const std::vector<float> values = x.to_vector();
  release_cached_memory(gpu);
  const int64_t reserved = memory_stats(gpu).reserved;
  {
    CudaGraph graph(gpu);
    Tensor y;
    graph.capture([&] {
      const Tensor twice = x + x;
      y = (twice + x) * (twice + twice);
    });
    std::vector<Tensor> others;
    for (int i = 0; i < 20; ++i) others.push_back(Tensor::full({1000}, 7, gpu));
    for (int launch = 0; launch < 2; ++launch) {
      graph.launch();
      const std::vector<float> result = y.to_vector();
      for (size_t i = 0; i < values.size(); ++i)
        EXPECT_FLOAT_EQ(result[i], 12 * values[i] * values[i]);
    }
    for (const Tensor& other : others) EXPECT_EQ(other.to_vector(), std::vector<float>(1000, 7));
  }
  release_cached_memory(gpu);
  EXPECT_EQ(memory_stats(gpu).reserved, reserved);
}

}  // namespace
}  // namespace fettle

#endif
