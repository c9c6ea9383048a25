// fettle export: a trained run as a file for other programs.
#include <iostream>
#include <nlohmann/json.hpp>

#include "apps/commands.h"
#include "apps/trained_model.h"
#include "io/onnx.h"

namespace fettle {
namespace {

struct Options : RunOptions {
  std::string onnx;
  ImageSize image_size;
};

/// The size of the pictures in the file: the one that was asked for, or the run's.
ImageSize input_size(const Options& o, const RunConfig& config) {
  if (o.image_size.height > 0) return o.image_size;
  if (config.height > 0) return {config.height, config.width};
  return {config.crop_height, config.crop_width};
}

/// What a model computes for pictures of a size. Recorded with two of them, so that nothing takes
/// their number for a constant.
Graph graph_of(TrainedModel& model, ImageSize size) {
  const RunConfig& config = model.config;
  const int64_t multiple = model.entry().multiple;
  require(size.height % multiple == 0 && size.width % multiple == 0, config.model,
          " needs a height and a width that are multiples of ", multiple, ", not ", size.height,
          "x", size.width, "; choose another --image-size");
  try {
    return graph_of(*model.layer, {2, size.height, size.width, config.channels});
  } catch (const Error& error) {
    throw Error(config.model, " cannot look at pictures of ", size.height, "x", size.width, ": ",
                error.what());
  }
}

/// Adds what makes probabilities of the model's logits; returns their value.
int add_probabilities(Graph& graph, const ModelEntry& entry) {
  const int logits = graph.output;
  const Shape shape = graph.values[static_cast<size_t>(logits)].shape;
  if (entry.task == Task::classification && shape[1] > 1)
    return append(graph, graph::Softmax{}, {logits}, shape);
  const int p = append(graph, graph::Elementwise{Unary::sigmoid}, {logits}, shape);
  if (entry.task == Task::segmentation) return p;
  const int others = append(graph, graph::Rescale{-1, 1}, {p}, shape);
  return append(graph, graph::Concatenate{}, {others, p}, {shape[0], 2});
}

void write_onnx(const Options& o, TrainedModel& model) {
  const RunConfig& config = model.config;
  const ImageSize size = input_size(o, config);
  Graph graph = graph_of(model, size);
  const int logits = graph.output, probabilities = add_probabilities(graph, model.entry());
  write_onnx(o.onnx, graph,
             {.outputs = {{"probabilities", probabilities}, {"logits", logits}},
              .standardize = model.entry().standardize,
              .metadata = {{"model", config.model},
                           {"classes", nlohmann::json(config.class_names).dump()},
                           {"threshold", cat(config.threshold)}}});
  const bool masks = model.entry().task == Task::segmentation;
  std::cerr << "Wrote " << o.onnx << ": pictures [N," << size.height << "," << size.width << ","
            << config.channels << "], float, 0 to 255, to probabilities and logits "
            << (masks ? "[N,H,W,kinds]" : "[N,classes]") << "\n";
}

void export_run(const Options& o) {
  require(!o.onnx.empty(), "say what to write: --onnx FILE");
  TrainedModel model = load_model(o, Device::cpu());
  write_onnx(o, model);
}

}  // namespace

void add_export(CLI::App& program) {
  CLI::App* command =
      program.add_subcommand("export", "Write a trained run as a file for other programs");
  auto o = std::make_shared<Options>();
  add_run(*command, *o);
  command->add_option("--onnx", o->onnx,
                      "File of ONNX (opset 17) to write: pictures [N,H,W,C] from 0 to 255, any "
                      "number of them, to their probabilities and logits");
  add_size(*command, "--image-size", o->image_size,
           "Height and width of the pictures in the file [the run's]");
  add_bn_statistics(*command, *o);
  command->callback([o] { export_run(*o); });
}

}  // namespace fettle
