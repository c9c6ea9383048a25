// Whole training steps on this machine: forward, loss, backward and Adam on random pictures.
//
//   cmake --preset release -DFETTLE_BENCH=ON && cmake --build --preset release
//   build/release/bench/bench_training_step
//
// To see what a change brought, compare two builds with bench/pairs.py. The counters: pictures a
// second, and the highest memory of tensors during a step in MiB.
#include <benchmark/benchmark.h>

#include <random>

#include "engine/autograd.h"
#include "engine/ops/losses.h"
#include "engine/random.h"
#include "engine/train/optimizer.h"
#include "models/mask_loss.h"
#include "models/model.h"

namespace {

using namespace fettle;

Tensor random_pictures(const Shape& shape, float low, float high) {
  std::mt19937 engine(1);
  std::uniform_real_distribution<float> uniform(low, high);
  std::vector<float> values(static_cast<size_t>(shape.size()));
  for (float& value : values) value = uniform(engine);
  return Tensor::from(shape, values);
}

/// The model's own size of pictures and loss.
void training_step(benchmark::State& state, const char* name) {
  constexpr int64_t batch = 8;
  const ModelEntry& entry = model_entry(name);
  const bool masks = entry.task == Task::segmentation;
  const std::unique_ptr<Layer> model = entry.make({.classes = masks ? 4 : 2, .augment = "none"});
  const Shape shape = {batch, entry.height, entry.width, entry.channels};
  const Shape output = build(*model, shape);
  const Tensor x =
      random_pictures(shape, entry.standardize ? -1.7f : 0, entry.standardize ? 1.7f : 255);
  const Tensor y = masks ? random_pictures(output, 0, 1)
                         : Tensor::from({batch}, std::vector<int32_t>{0, 1, 0, 1, 0, 1, 0, 1});
  const LossFunction loss =
      masks ? mask_loss(entry.loss) : [](const Tensor& logits, const Tensor& labels) {
        return sparse_categorical_cross_entropy(logits, labels);
      };
  const auto optimizer = make_optimizer({}, named_tensors(*model));
  uint32_t step = 0;
  const auto one_step = [&] {
    const TrainingScope training(1, step++);
    const Tensor value = loss((*model)(x), y);
    backward(value);
    optimizer->step();
    return value.item();
  };
  one_step();  // its memory comes from the system
  reset_peak_memory();
  for (auto _ : state) benchmark::DoNotOptimize(one_step());
  state.counters["pictures/s"] =
      benchmark::Counter(batch, benchmark::Counter::kIsIterationInvariantRate);
  state.counters["peak MiB"] = static_cast<double>(memory_stats().peak) / (1 << 20);
}

void on_all_threads(benchmark::internal::Benchmark* benchmark) {
  benchmark->MeasureProcessCPUTime()->UseRealTime()->Unit(benchmark::kMillisecond);
}
BENCHMARK_CAPTURE(training_step, resnet50, "resnet50")->Apply(on_all_threads);
BENCHMARK_CAPTURE(training_step, res_unet, "res_unet")->Apply(on_all_threads);
BENCHMARK_CAPTURE(training_step, defect_cnn, "defect_cnn")->Apply(on_all_threads);

}  // namespace

BENCHMARK_MAIN();
