// How much memory of a GPU a training step takes, counted on the executor, whose launches do
// nothing here. Of the code that was measured on an H200 it counts the same, to the byte.
#include <gtest/gtest.h>

#include "engine/autograd.h"
#include "engine/memory.h"
#include "engine/ops/losses.h"
#include "engine/random.h"
#include "engine/train/optimizer.h"
#include "engine/train/step_graph.h"
#include "kernels/conv2d/plan.h"
#include "models/mask_loss.h"
#include "models/model.h"
#include "tests/simt/executor.h"

namespace fettle {
namespace {

struct MiB {
  double peak = 0, reserved = 0;
};

/// Of a training step with Adam as a CUDA graph: bench/training_step_cuda.cpp.
MiB memory_of(const std::string& name, Precision precision) {
  simt::options().compute = false;
  set_gpu_precision(precision);
  const Device gpu = Device::cuda(0);
  release_cached_memory(gpu);
  const int64_t before = memory_stats(gpu).current;
  reset_peak_memory(gpu);
  {
    const ModelEntry& entry = model_entry(name);
    const bool masks = entry.task == Task::segmentation;
    const auto model = entry.make({.classes = masks ? 4 : 1000, .augment = "none"});
    const Shape pictures = {32, entry.height, entry.width, entry.channels};
    const Shape output = build(*model, pictures);
    move_to(*model, gpu);
    const Tensor y = masks ? Tensor::zeros(output, DType::f32, gpu)
                           : Tensor::zeros({pictures[0]}, DType::i32, gpu);
    const Batch batch = {Tensor::zeros(pictures, DType::f32, gpu), y};
    const LossFunction loss =
        masks ? mask_loss(entry.loss) : [](const Tensor& logits, const Tensor& labels) {
          return sparse_categorical_cross_entropy(logits, labels);
        };
    const auto optimizer = make_optimizer({}, named_tensors(*model));
    const auto train = [&](const Batch& given) -> StepResult {
      const Tensor logits = (*model)(given.x), value = loss(logits, given.y);
      backward(value);
      optimizer->step();
      return {logits, given.y, value};
    };
    const TrainingScope training(1, 0);
    train(batch);
    StepGraph graph(gpu, batch, train);
    graph.run(batch);
  }
  const auto mebibytes = [](int64_t bytes) { return static_cast<double>(bytes) / (1 << 20); };
  const MiB memory = {mebibytes(memory_stats(gpu).peak - before),
                      mebibytes(memory_stats(gpu).reserved)};
  release_cached_memory(gpu);
  set_gpu_precision(Precision::fp32);
  simt::options() = {};
  return memory;
}

// PyTorch 2.11, channels_last, 32 pictures: bench/results/training-step-h200-2026-11-26.json, the
// least of autocast with and without torch.compile, and of fp32.
TEST(GpuMemory, OfTrainingIsLessThanPyTorchs) {
  const struct {
    const char* model;
    Precision precision;
    double pytorch;
  } cases[] = {{"resnet50", Precision::bf16, 1738.6},
               {"resnet50", Precision::tf32, 7496.8},
               {"res_unet", Precision::bf16, 2211.0},
               {"res_unet", Precision::tf32, 5312.7}};
  for (const auto& [model, precision, pytorch] : cases) {
    const MiB memory = memory_of(model, precision);
    EXPECT_LT(memory.peak, pytorch) << model << ", " << name_of(precision);
    EXPECT_LT(memory.reserved, 1.25 * memory.peak) << model << ", " << name_of(precision);
  }
}

}  // namespace
}  // namespace fettle
