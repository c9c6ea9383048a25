#include "engine/graph.h"

#include "engine/error.h"

namespace fettle {
namespace {

thread_local TraceListener* listener = nullptr;

/// Keeps the nodes that the output depends on.
void drop_unused(Graph& graph) {
  std::vector<bool> needed(graph.values.size());
  needed[static_cast<size_t>(graph.output)] = true;
  std::vector<GraphNode> kept;
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
    if (!needed[static_cast<size_t>(node->output)]) continue;
    for (const int input : node->inputs)
      if (input != Graph::absent) needed[static_cast<size_t>(input)] = true;
    kept.push_back(std::move(*node));
  }
  graph.nodes.assign(std::make_move_iterator(kept.rbegin()), std::make_move_iterator(kept.rend()));
}

}  // namespace

int append(Graph& graph, graph::Operation operation, std::vector<int> inputs, const Shape& shape) {
  const int output = static_cast<int>(graph.values.size());
  graph.values.push_back({shape, "", {}});
  graph.nodes.push_back({std::move(operation), std::move(inputs), output});
  return output;
}

TraceListener::TraceListener() : outer_(listener) {
  listener = this;
}

TraceListener::~TraceListener() {
  stop();
}

void TraceListener::stop() {
  if (listener == this) listener = outer_;
}

GraphRecorder::GraphRecorder(const Tensor& input, const NamedTensors& constants) {
  require(!input.device().is_meta(), "a graph is recorded with real tensors, not with meta ones");
  graph_.input = add_value(input, {input.shape(), "input", {}});
  for (const NamedTensor& constant : constants)
    add_value(constant.tensor, {constant.tensor.shape(), constant.name, constant.tensor.detach()});
}

GraphRecorder::Key GraphRecorder::key_of(const Tensor& tensor) {
  return {tensor.raw(), {tensor.shape().begin(), tensor.shape().end()}};
}

int GraphRecorder::add_value(const Tensor& tensor, GraphValue value) {
  const int index = static_cast<int>(graph_.values.size());
  graph_.values.push_back(std::move(value));
  known_[key_of(tensor)] = index;
  alive_.push_back(tensor.detach());
  return index;
}

int GraphRecorder::value_of(const Tensor& tensor, bool weight) {
  if (!tensor.defined()) return Graph::absent;
  const auto found = known_.find(key_of(tensor));
  if (found == known_.end() && weight) {
    const std::string name = cat("constant_", graph_.values.size());
    return add_value(tensor, {tensor.shape(), name, tensor.detach()});
  }
  require(found != known_.end(), "the model uses a tensor ", tensor.shape(),
          " that is neither one of its weights nor computed by an operation that graphs know");
  return found->second;
}

Graph GraphRecorder::finish(const Tensor& output) {
  stop();
  graph_.output = value_of(output);
  drop_unused(graph_);
  return std::move(graph_);
}

void GraphRecorder::hear(const graph::Operation& operation, const TensorList& inputs,
                         Tensor& output) {
  GraphNode node{operation, {}, 0};
  const bool weighted = std::holds_alternative<graph::Conv2d>(operation) ||
                        std::holds_alternative<graph::Conv2dTranspose>(operation) ||
                        std::holds_alternative<graph::Dense>(operation) ||
                        std::holds_alternative<graph::BatchNorm>(operation);
  for (size_t i = 0; i < inputs.size(); ++i)
    node.inputs.push_back(value_of(inputs[i], weighted && i > 0));
  node.output = add_value(output, {output.shape(), "", {}});
  graph_.nodes.push_back(std::move(node));
}

void trace(const graph::Operation& operation, const TensorList& inputs, Tensor& output) {
  if (!listener) return;
  output.raw();  // computed now: whoever listens hears every operation by itself
  listener->hear(operation, inputs, output);
}

}  // namespace fettle
