// Writes models of models/model.h, with made weights, and a small one as single files
// DIR/NAME.fettle, for comparing processors and as a beginning for fuzzing.
#include <iostream>

#include "engine/inference/compile.h"
#include "io/atomic_file.h"
#include "io/single_file.h"
#include "models/model.h"
#include "tests/io/small_model.h"
#include "tests/models/spread.h"

namespace {

fettle::SingleFile made(const fettle::ModelEntry& entry) {
  using namespace fettle;
  constexpr int64_t height = 64, width = 96;
  const std::unique_ptr<Layer> model = entry.make({.classes = 2});
  build(*model, {1, height, width, entry.channels}, 5);
  set_spread_weights(named_tensors(*model),
                     [](const NamedTensor& t) { return t.tensor.size() / t.tensor.shape()[0]; });
  Graph graph = graph_of(*model, {1, height, width, entry.channels});
  const Shape logits = graph.values[static_cast<size_t>(graph.output)].shape;
  graph.output = append(graph, graph::Elementwise{Unary::sigmoid}, {graph.output}, logits);
  SingleFile file;
  file.model = entry.name;
  file.segments = entry.task == Task::segmentation;
  file.standardize = entry.standardize;
  file.height = height, file.width = width, file.multiple = entry.multiple;
  file.class_names = {"a", "b"};
  file.network = inference::compile(graph);
  return file;
}

void write(const std::string& folder, const fettle::SingleFile& model) {
  const std::vector<uint8_t> bytes = to_bytes(model, fettle::Storage::f32);
  fettle::write_file(fettle::cat(folder, '/', model.model, ".fettle"),
                     {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  try {
    fettle::make_folder(argv[1]);
    write(argv[1], fettle::small_segmenter());
    for (const fettle::ModelEntry& entry : fettle::model_entries()) {
      if (entry.name == "wreck_cnn") continue;  // whose one logit is no two classes
      // The deeper ResNets have no operation that resnet18 lacks, and made weights blow them up.
      if (entry.name.starts_with("resnet") && entry.name != "resnet18") continue;
      write(argv[1], made(entry));
    }
  } catch (const std::exception& error) {
    std::cerr << "write_models: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
