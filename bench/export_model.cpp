// A model with random weights as files for every engine that bench/peers.py times: weights for
// PyTorch, ONNX, and the single file that fettle's own engine for prediction runs.
//
//   bench_export_model resnet50 224 224 BASE    writes BASE.safetensors, BASE.onnx, BASE.fettle
//
// The network goes from pictures as it wants them, without preprocessing, to logits.
#include <cstdio>
#include <string>

#include "bench/turns.h"
#include "engine/inference/compile.h"
#include "io/atomic_file.h"
#include "io/onnx.h"
#include "io/safetensors.h"
#include "io/single_file.h"
#include "models/model.h"

namespace {

using namespace fettle;

/// Gives batch-norm and the biases numbers as training leaves them; else folding batch-norm into
/// the convolutions would be an identity that hides mistakes. Sums keep a size of one.
void make_trained(const NamedTensors& tensors) {
  for (const NamedTensor& named : tensors) {
    Tensor tensor = named.tensor;
    if (tensor.shape().rank() != 1) continue;
    const bool factor = named.name.ends_with("running_var") || named.name.ends_with("weight");
    // The last batch-norm of a residual block weighs little, as in a trained ResNet.
    const float scale = named.name.ends_with("bn3.weight") ? 0.25f : 1;
    const Floats values = factor ? random_values(tensor.size(), 0.5f * scale, 1.5f * scale)
                                 : random_values(tensor.size(), -0.2f, 0.2f);
    tensor.copy_from(Tensor::from(tensor.shape(), std::span<const float>(values)));
  }
}

void export_model(const std::string& name, int64_t height, int64_t width, const std::string& base) {
  const ModelEntry& entry = model_entry(name);
  const bool masks = entry.task == Task::segmentation;
  const std::unique_ptr<Layer> model =
      entry.make({.classes = masks ? 4 : 1000, .augment = "none", .preprocess = "none"});
  build(*model, {1, height, width, entry.channels});
  const NamedTensors tensors = named_tensors(*model);
  make_trained(tensors);
  write_safetensors(base + ".safetensors", tensors, {{"format", "fettle"}});
  // Recorded with two pictures, so that nothing takes their number for a constant.
  const Graph graph = graph_of(*model, {2, height, width, entry.channels});
  write_onnx(base + ".onnx", graph, {.outputs = {{"logits", graph.output}}});
  SingleFile file;
  file.model = name;
  file.segments = masks;
  file.any_size = masks;
  file.height = height, file.width = width;
  file.multiple = entry.multiple, file.reach = entry.reach;
  for (int64_t i = 0; i < (masks ? 4 : 1000); ++i) file.class_names.push_back(std::to_string(i));
  file.network = inference::compile(graph);
  const std::vector<uint8_t> bytes = to_bytes(file, Storage::f32);
  write_file(base + ".fettle", {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: bench_export_model MODEL HEIGHT WIDTH BASE\n");
    return 2;
  }
  try {
    export_model(argv[1], std::stoll(argv[2]), std::stoll(argv[3]), argv[4]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_export_model: %s\n", error.what());
    return 1;
  }
}
