#include "apps/single_file.h"

#include "apps/prediction_graph.h"
#include "engine/inference/compile.h"

namespace fettle {
namespace {

using inference::Network;

Network network_of(TrainedModel& model, int64_t height, int64_t width) {
  Graph graph = graph_of(model, {height, width});
  graph.output = add_probabilities(graph, model);
  return inference::compile(graph);
}

/// Whether the network holds for pictures of other sizes, too: it does where it is the one that
/// the model gives there.
bool takes_other_sizes(TrainedModel& model, const Network& network) {
  const int64_t multiple = model.entry().multiple;
  const int64_t height = 3 * multiple, width = 5 * multiple;
  try {
    return agree(network, network_of(model, height, width), height, width);
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

std::optional<Network> network_of_any_size(TrainedModel& model) {
  const int64_t extent = 2 * model.entry().multiple;
  try {
    Network network = network_of(model, extent, extent);
    if (takes_other_sizes(model, network)) return network;
  } catch (const Error&) {
    // It has an operation that networks lack.
  }
  return std::nullopt;
}

SingleFile to_single_file(TrainedModel& model) {
  const RunConfig& config = model.config;
  const ModelEntry& entry = model.entry();
  SingleFile file;
  file.model = config.model;
  file.segments = entry.task == Task::segmentation;
  file.multi_label = config.multi_label;
  file.standardize = entry.standardize;
  file.own_size = config.height == 0;
  file.height = file.own_size ? config.crop_height : config.height;
  file.width = file.own_size ? config.crop_width : config.width;
  file.multiple = entry.multiple, file.reach = entry.reach;
  file.threshold = config.threshold;
  file.class_names = config.class_names;
  file.network = network_of(model, file.height, file.width);
  file.any_size = file.segments && takes_other_sizes(model, file.network);
  require(file.any_size || !file.own_size, "the run's model ", config.model,
          " takes pictures of any size, and a single file of it cannot");
  return file;
}

}  // namespace fettle
