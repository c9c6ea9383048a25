#include "apps/prediction_graph.h"

namespace fettle {

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

int add_probabilities(Graph& graph, const TrainedModel& model) {
  const ModelEntry& entry = model.entry();
  int logits = graph.output;
  const Shape shape = graph.values[static_cast<size_t>(logits)].shape;
  const auto temperature = static_cast<float>(model.config.temperature);
  if (temperature != 1) logits = append(graph, graph::Rescale{1 / temperature, 0}, {logits}, shape);
  const bool sigmoids = entry.task == Task::segmentation || model.config.multi_label;
  if (!sigmoids && shape[1] > 1) return append(graph, graph::Softmax{}, {logits}, shape);
  const int p = append(graph, graph::Elementwise{Unary::sigmoid}, {logits}, shape);
  if (sigmoids) return p;
  const int others = append(graph, graph::Rescale{-1, 1}, {p}, shape);
  return append(graph, graph::Concatenate{}, {others, p}, {shape[0], 2});
}

}  // namespace fettle
