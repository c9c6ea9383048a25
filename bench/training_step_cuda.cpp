// Whole training steps and predictions on a GPU: forward, loss, backward and Adam on random
// pictures.
//
//   build/gpu-machine/bench/bench_training_step_cuda --model res_unet --batch 32 --precision bf16
//
// Prints one JSON object; times are wall-clock medians of steps that end with the GPU idle.
// bench/training_step_torch.py does the same in PyTorch.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>

#include "engine/autograd.h"
#include "engine/ops/losses.h"
#include "engine/random.h"
#include "engine/train/optimizer.h"
#include "engine/train/step_graph.h"
#include "kernels/conv2d/plan.h"
#include "models/mask_loss.h"
#include "models/model.h"

namespace fettle {
namespace {

Tensor random_tensor(const Shape& shape, float low, float high) {
  std::mt19937 engine(1);
  std::uniform_real_distribution<float> uniform(low, high);
  std::vector<float> values(static_cast<size_t>(shape.size()));
  for (float& value : values) value = uniform(engine);
  return Tensor::from(shape, values).to(Device::cuda(0));
}

/// Milliseconds of one call, some calls long: median, least and most.
template <class F>
nlohmann::ordered_json time_steps(const F& step) {
  for (int i = 0; i < 3; ++i) step();
  std::vector<double> milliseconds;
  const auto start = std::chrono::steady_clock::now();
  const auto since = [](std::chrono::steady_clock::time_point begin) {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin)
        .count();
  };
  while (milliseconds.size() < 5 || (since(start) < 1500 && milliseconds.size() < 200)) {
    const auto begin = std::chrono::steady_clock::now();
    step();
    milliseconds.push_back(since(begin));
  }
  std::sort(milliseconds.begin(), milliseconds.end());
  return {{"median_ms", milliseconds[milliseconds.size() / 2]},
          {"min_ms", milliseconds.front()},
          {"max_ms", milliseconds.back()},
          {"steps", milliseconds.size()}};
}

nlohmann::ordered_json run(const std::string& name, int64_t batch, const std::string& precision,
                           bool cuda_graph) {
  set_gpu_precision(precision == "bf16"   ? Precision::bf16
                    : precision == "tf32" ? Precision::tf32
                                          : Precision::fp32);
  const Device gpu = Device::cuda(0);
  const ModelEntry& entry = model_entry(name);
  const bool masks = entry.task == Task::segmentation;
  const std::unique_ptr<Layer> model = entry.make({.classes = masks ? 4 : 1000, .augment = "none"});
  const Shape shape = {batch, entry.height, entry.width, entry.channels};
  const Shape output = build(*model, shape);
  move_to(*model, gpu);
  const Tensor x =
      random_tensor(shape, entry.standardize ? -1.7f : 0, entry.standardize ? 1.7f : 255);
  const Tensor y =
      masks ? random_tensor(output, 0, 1)
            : Tensor::from({batch}, std::vector<int32_t>(static_cast<size_t>(batch), 7)).to(gpu);
  const LossFunction loss =
      masks ? mask_loss(entry.loss) : [](const Tensor& logits, const Tensor& labels) {
        return sparse_categorical_cross_entropy(logits, labels);
      };
  const auto optimizer = make_optimizer({}, named_tensors(*model));
  const auto train = [&](const Batch& pictures) -> StepResult {
    const Tensor logits = (*model)(pictures.x), value = loss(logits, pictures.y);
    backward(value);
    optimizer->step();
    return {logits, pictures.y, value};
  };
  uint32_t step = 0;
  std::optional<StepGraph> graph;
  nlohmann::ordered_json report = {
      {"model", name}, {"batch", batch}, {"precision", precision}, {"cuda_graph", cuda_graph}};
  report["train"] = time_steps([&] {
    const TrainingScope training(1, step++);
    const Batch pictures{x, y};
    if (cuda_graph && step == 2) graph.emplace(gpu, pictures, train);
    (graph ? graph->run(pictures) : train(pictures)).loss.item();
  });
  report["train"]["peak_MiB"] = static_cast<double>(memory_stats(gpu).peak) / (1 << 20);
  report["predict"] = time_steps([&] {
    const NoGrad no_grad;
    (*model)(x).to(Device::cpu());
  });
  return report;
}

}  // namespace
}  // namespace fettle

int main(int argc, char** argv) {
  std::string model = "res_unet", precision = "fp32";
  int64_t batch = 32;
  CLI::App program("Times training steps and predictions on a GPU");
  program.add_option("--model", model, "Name of a model")->capture_default_str();
  program.add_option("--batch", batch, "Pictures")->check(CLI::Range(1, 4096));
  program.add_option("--precision", precision, "Of convolutions")
      ->check(CLI::IsMember({"fp32", "tf32", "bf16"}));
  bool cuda_graph = false;
  program.add_flag("--cuda-graph", cuda_graph, "Start a training step as one CUDA graph");
  CLI11_PARSE(program, argc, argv);
  try {
    std::printf("%s\n", fettle::run(model, batch, precision, cuda_graph).dump().c_str());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_training_step_cuda: %s\n", error.what());
    return 1;
  }
}
