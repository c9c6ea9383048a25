// A model as a list of operations, recorded while it predicts: what exporters and the embedded
// runtime read, and where operations can be fused.
//
// While a TraceListener lives, every operation of engine/ops that a prediction needs tells it
// of itself with trace(). What a training step alone needs (losses, dropout) does not.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "engine/named_tensor.h"
#include "kernels/conv2d/conv2d.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/pool2d/pool2d.h"
#include "kernels/upsample2d/upsample2d.h"

namespace fettle {

/// The operations, each with what it needs beside its inputs.
namespace graph {
struct Conv2d {  ///< of x, weight [K,R,S,C/groups] and, unless it is absent, bias [K]
  Conv2dShape shape;
  Epilogue epilogue;
};
struct Conv2dTranspose {  ///< of x, weight [C,R,S,K] and bias or none
  Conv2dShape shape;      ///< of the convolution whose gradient it is: from the output to x
  Epilogue epilogue;
};
struct Dense {  ///< of x [N,C], weight [K,C] and bias or none
  Epilogue epilogue;
};
struct BatchNorm {  ///< of x, gamma, beta, mean, variance; the last two absent if `of_batch`
  float epsilon;
  bool of_batch;  ///< normalised with the batch's own statistics
};
struct Elementwise {
  Unary function;
};
struct Softmax {};
struct Rescale {
  float scale, offset;
};
struct Add {};
struct Multiply {};
struct MaxPool2d {
  Pool2dShape shape;
};
struct AveragePool2d {
  Pool2dShape shape;
};
struct Upsample2d {
  Upsample2dShape shape;
  Upsampling interpolation;
};
struct Concatenate {};  ///< along the last axis
struct Reshape {};

using Operation =
    std::variant<Conv2d, Conv2dTranspose, Dense, BatchNorm, Elementwise, Softmax, Rescale, Add,
                 Multiply, MaxPool2d, AveragePool2d, Upsample2d, Concatenate, Reshape>;
}  // namespace graph

/// What an operation reads or writes.
struct GraphValue {
  Shape shape;
  std::string name;  ///< of a constant: the tensor's path in the model
  Tensor constant;   ///< a parameter or a buffer; undefined for what is computed
};

struct GraphNode {
  graph::Operation operation;
  std::vector<int> inputs;  ///< indices of values; Graph::absent where an optional one is missing
  int output = 0;
};

/// Nodes stand in the order of their computation; each value is written at most once.
struct Graph {
  static constexpr int absent = -1;
  std::vector<GraphValue> values;
  std::vector<GraphNode> nodes;
  int input = 0, output = 0;
};

/// Appends an operation to a recorded graph; returns the index of the value that it computes.
int append(Graph& graph, graph::Operation operation, std::vector<int> inputs, const Shape& shape);

/// Hears of every operation that this thread computes for a prediction, while it lives and no newer
/// listener does.
class TraceListener {
 public:
  TraceListener();
  virtual ~TraceListener();
  TraceListener(const TraceListener&) = delete;
  TraceListener& operator=(const TraceListener&) = delete;

 protected:
  /// Hears nothing more.
  void stop();

 private:
  friend void trace(const graph::Operation&, const TensorList&, Tensor&);
  /// `output` is computed but not on the tape yet: where no input needs a gradient, it stays what
  /// it is made here.
  virtual void hear(const graph::Operation& operation, const TensorList& inputs,
                    Tensor& output) = 0;
  TraceListener* outer_;
};

/// Records the operations of this thread from its making to finish().
class GraphRecorder : public TraceListener {
 public:
  /// `input` is what the model will be called with, `constants` all its tensors.
  GraphRecorder(const Tensor& input, const NamedTensors& constants);

  /// The graph whose result is `output`, without the nodes that it does not need. Throws Error when
  /// something on the way was computed by an operation that is not recorded. (A weight that is not
  /// among the constants, as preprocessing has, becomes one.)
  Graph finish(const Tensor& output);

 private:
  void hear(const graph::Operation& operation, const TensorList& inputs, Tensor& output) override;
  /// A tensor is known by its memory and its shape: a reshaped one has the memory of another.
  using Key = std::pair<const std::byte*, std::vector<int64_t>>;
  static Key key_of(const Tensor& tensor);
  int add_value(const Tensor& tensor, GraphValue value);
  int value_of(const Tensor& tensor, bool weight = false);

  Graph graph_;
  std::map<Key, int> known_;
  std::vector<Tensor> alive_;  // so that no memory is used twice while recording
};

/// Notes an operation that computed `output` from `inputs` (undefined ones are absent), if anybody
/// listens.
void trace(const graph::Operation& operation, const TensorList& inputs, Tensor& output);

}  // namespace fettle
