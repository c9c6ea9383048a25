#include "engine/inference/compile.h"

#include <cmath>
#include <cstring>
#include <map>

#include "engine/inference/late_upsampling.h"
#include "kernels/padding.h"

namespace fettle::inference {
namespace {

using Numbers = std::vector<float>;

/// The rule that gave a window its places along one axis of n pixels.
Axis axis_of(int64_t n, int64_t extent, int64_t stride, int64_t dilation, int64_t before,
             int64_t outputs) {
  Axis axis{extent, stride, dilation, before, 0, Border::zeros};
  const int64_t reach = (extent - 1) * dilation + 1;
  // Up to stride - 1 pixels at the end may be in no window.
  const int64_t least = (outputs - 1) * stride + reach - n - before;
  const Pads same = same_pads(n, reach, stride);
  if (same.before == before && output_extent(n, same, reach, stride) == outputs &&
      same.before + same.after > 0) {
    axis.border = Border::same;
  } else if (least <= before && before < least + stride) {
    axis.after = before;  // as much on either side
  } else {
    axis.after = std::max<int64_t>(0, least);
  }
  return axis;
}

Axis pool_axis(int64_t n, int64_t extent, int64_t stride, int64_t before, int64_t outputs) {
  Axis axis = axis_of(n, extent, stride, 1, before, outputs);
  if (extent == n && outputs == 1 && before == 0) axis = {1, 1, 1, 0, 0, Border::whole};
  return axis;
}

class Compiler {
 public:
  explicit Compiler(const Graph& graph) : graph_(graph), uses_(graph.values.size()) {
    for (const GraphNode& node : graph.nodes)
      for (const int input : node.inputs)
        if (input != Graph::absent) ++uses_[static_cast<size_t>(input)];
    ++uses_[static_cast<size_t>(graph.output)];
  }

  Network run() {
    const Shape& input = value(graph_.input).shape;
    require(input.rank() == 4, "a network starts from pictures [N,H,W,C], not ", input);
    network_.channels = input[3];
    activation_[graph_.input] = 0;
    for (const GraphNode& node : graph_.nodes) {
      node_ = &node;
      std::visit([&](const auto& operation) { add(operation); }, node.operation);
    }
    require(activation_.at(graph_.output) == std::ssize(network_.steps),
            "the model's last operation does not compute its result");
    for (Numbers& numbers : numbers_) {
      auto kept = std::make_shared<const Numbers>(std::move(numbers));
      network_.constants[network_.memory.size()].values = kept->data();
      network_.memory.push_back(std::move(kept));
    }
    return upsample_late(network_, input[1], input[2]);
  }

 private:
  const GraphValue& value(int index) const { return graph_.values[static_cast<size_t>(index)]; }
  const Shape& shape(size_t input) const { return value(node_->inputs[input]).shape; }

  /// The activation that an input is.
  int activation(size_t input) const {
    const auto found = activation_.find(node_->inputs[input]);
    require(found != activation_.end(), "a network cannot compute with the constant '",
            value(node_->inputs[input]).name, "' here");
    return found->second;
  }

  Numbers numbers_of(size_t input) const {
    const GraphValue& v = value(node_->inputs[input]);
    require(v.constant.defined(), "a network needs constants where the model computes weights");
    return v.constant.to_vector();
  }
  /// A copy of a constant input, whose numbers may be changed; returns its index, or `absent`.
  int constant(size_t input) {
    if (input >= node_->inputs.size() || node_->inputs[input] == Graph::absent) return absent;
    return new_constant(shape(input), numbers_of(input));
  }
  int new_constant(const Shape& shape, Numbers numbers) {
    network_.constants.push_back({shape, nullptr});
    numbers_.push_back(std::move(numbers));
    return static_cast<int>(numbers_.size()) - 1;
  }
  Numbers& numbers(int constant) { return numbers_[static_cast<size_t>(constant)]; }

  Step& push(Operation operation, std::vector<int> inputs, std::vector<int> constants = {}) {
    Step& step = network_.steps.emplace_back();
    step.operation = operation;
    step.inputs = std::move(inputs);
    step.constants = std::move(constants);
    activation_[node_->output] = static_cast<int>(network_.steps.size());
    return step;
  }
  std::vector<int> all_inputs() const {
    std::vector<int> inputs;
    for (size_t i = 0; i < node_->inputs.size(); ++i) inputs.push_back(activation(i));
    return inputs;
  }

  /// The step before, if it alone computes that input, nothing else reads it, and it has weights
  /// and neither adds another input nor has an activation: what follows can be folded into it.
  Step* foldable(size_t i = 0) {
    Step* step = last_step(i);
    return step && step->inputs.size() == 1 ? step : nullptr;
  }
  Step* last_step(size_t i) {
    const int input = node_->inputs[i];
    if (uses_[static_cast<size_t>(input)] != 1 || network_.steps.empty()) return nullptr;
    if (activation(i) != std::ssize(network_.steps)) return nullptr;
    Step& step = network_.steps.back();
    const bool weighted = step.operation == Operation::conv2d ||
                          step.operation == Operation::conv2d_transpose ||
                          step.operation == Operation::dense;
    return weighted && step.epilogue == Epilogue::linear ? &step : nullptr;
  }
  /// Input 0 is what the last step computes now.
  void fold_node() { activation_[node_->output] = activation(0); }

  /// The outputs of a step with weights; a transposed convolution has them along the last axis.
  int64_t outputs(const Step& step) const {
    const Shape& w = network_.constants[static_cast<size_t>(step.constants[0])].shape;
    return step.operation == Operation::conv2d_transpose ? w[3] : w[0];
  }
  Numbers& bias_of(Step& step) {
    if (step.constants[1] == absent) {
      const int64_t K = outputs(step);
      step.constants[1] = new_constant({K}, Numbers(static_cast<size_t>(K)));
    }
    return numbers(step.constants[1]);
  }

  /// The weights of a step, after a factor on its input that is folded into them.
  std::vector<int> weights() {
    std::vector<int> constants = {constant(1), constant(2)};
    const auto scaled = scaled_.find(node_->inputs[0]);
    if (scaled != scaled_.end()) {
      for (float& w : numbers(constants[0]))
        w = static_cast<float>(static_cast<double>(w) * scaled->second);
    }
    return constants;
  }

  void add(const graph::Conv2d& op) {
    const Conv2dShape& s = op.shape;
    Step& step = push(Operation::conv2d, {activation(0)}, weights());
    step.rows = axis_of(s.H, s.R, s.stride_h, s.dilation_h, s.pad_top, s.P);
    step.columns = axis_of(s.W, s.S, s.stride_w, s.dilation_w, s.pad_left, s.Q);
    step.groups = s.groups;
    step.epilogue = op.epilogue;
  }
  void add(const graph::Conv2dTranspose& op) {
    const Conv2dShape& s = op.shape;
    require(s.groups == 1 && s.dilation_h == 1 && s.dilation_w == 1,
            "a network has no transposed convolution with groups or dilation");
    Step& step = push(Operation::conv2d_transpose, {activation(0)}, weights());
    const auto axis = [](int64_t outputs, int64_t n, int64_t extent, int64_t stride) {
      const bool same = outputs == n * stride && extent > stride;
      return Axis{extent, stride, 1, 0, 0, same ? Border::same : Border::zeros};
    };
    step.rows = axis(s.H, s.P, s.R, s.stride_h);
    step.columns = axis(s.W, s.Q, s.S, s.stride_w);
    step.epilogue = op.epilogue;
    bias_of(step);
  }
  void add(const graph::Dense& op) {
    push(Operation::dense, {activation(0)}, weights()).epilogue = op.epilogue;
  }

  void add(const graph::BatchNorm& op) {
    Step* before = op.of_batch ? nullptr : foldable();
    if (!before) {
      const std::vector<int> constants = {constant(1), constant(2), constant(3), constant(4)};
      push(Operation::batch_norm, {activation(0)}, constants).scale = op.epsilon;
      return;
    }
    const Numbers gamma = numbers_of(1), beta = numbers_of(2), mean = numbers_of(3),
                  variance = numbers_of(4);
    Numbers& bias = bias_of(*before);
    Numbers& weight = numbers(before->constants[0]);
    const bool last_axis = before->operation == Operation::conv2d_transpose;
    const size_t K = gamma.size(), apart = weight.size() / K;
    for (size_t k = 0; k < K; ++k) {
      const double factor = gamma[k] / std::sqrt(double{variance[k]} + double{op.epsilon});
      for (size_t i = 0; i < apart; ++i) {
        float& w = last_axis ? weight[i * K + k] : weight[k * apart + i];
        w = static_cast<float>(w * factor);
      }
      bias[k] = static_cast<float>((double{bias[k]} - mean[k]) * factor + beta[k]);
    }
    fold_node();
  }

  void add(const graph::Elementwise& op) {
    if (op.function == Unary::relu) {
      if (Step* before = last_step(0)) {
        before->epilogue = Epilogue::relu;
        return fold_node();
      }
    }
    push(Operation::unary, {activation(0)}).function = op.function;
  }
  void add(const graph::Softmax&) { push(Operation::softmax, all_inputs()); }
  void add(const graph::Rescale& op) {
    // Without an offset the zeros of a border stay what they are.
    const GraphNode* reader = only_reader();
    if (op.offset == 0 && reader && reader->inputs[0] == node_->output &&
        (std::holds_alternative<graph::Conv2d>(reader->operation) ||
         std::holds_alternative<graph::Dense>(reader->operation))) {
      scaled_[node_->output] = op.scale;
      return fold_node();
    }
    Step& step = push(Operation::rescale, all_inputs());
    step.scale = op.scale, step.offset = op.offset;
  }
  const GraphNode* only_reader() const {
    if (uses_[static_cast<size_t>(node_->output)] != 1) return nullptr;
    for (const GraphNode& node : graph_.nodes)
      for (const int input : node.inputs)
        if (input == node_->output) return &node;
    return nullptr;
  }
  void add(const graph::Add&) {
    // The step that computed one of the two, if it was the last one, adds the other.
    for (const size_t i : {1, 0}) {
      Step* before = foldable(i);
      if (!before || before->operation != Operation::conv2d || before->groups != 1) continue;
      before->inputs.push_back(activation(1 - i));
      activation_[node_->output] = activation(i);
      return;
    }
    push(Operation::add, all_inputs());
  }
  void add(const graph::Multiply&) { push(Operation::multiply, all_inputs()); }
  void pool(Operation operation, const Pool2dShape& s) {
    Step& step = push(operation, all_inputs());
    step.rows = pool_axis(s.H, s.R, s.stride_h, s.pad_top, s.P);
    step.columns = pool_axis(s.W, s.S, s.stride_w, s.pad_left, s.Q);
  }
  void add(const graph::MaxPool2d& op) { pool(Operation::max_pool2d, op.shape); }
  void add(const graph::AveragePool2d& op) { pool(Operation::average_pool2d, op.shape); }
  void add(const graph::Upsample2d& op) {
    Step& step = push(Operation::upsample2d, all_inputs());
    step.rows.extent = op.shape.factor_h, step.columns.extent = op.shape.factor_w;
    step.interpolation = op.interpolation;
  }
  void add(const graph::Concatenate&) { push(Operation::concatenate, all_inputs()); }
  void add(const graph::Reshape&) {
    Step& step = push(Operation::reshape, all_inputs());
    const Shape& to = value(node_->output).shape;
    require(to.rank() >= 2 && to[0] == value(graph_.input).shape[0],
            "a network cannot reshape across pictures");
    for (int i = 1; i < to.rank(); ++i) step.target.push_back(to[i]);
  }

  const Graph& graph_;
  const GraphNode* node_ = nullptr;
  std::vector<int> uses_;          // of each value
  std::map<int, int> activation_;  // of the network, by the graph's value
  std::map<int, float> scaled_;    // factors still to be applied
  std::vector<Numbers> numbers_;   // of the constants
  Network network_;
};

}  // namespace

Network compile(const Graph& graph) {
  return Compiler(graph).run();
}

bool agree(const Network& a, const Network& b, int64_t height, int64_t width) {
  const std::vector<BoundStep> one = bind(a, height, width), other = bind(b, height, width);
  if (one.size() != other.size()) return false;
  for (size_t i = 0; i < one.size(); ++i) {
    if (one[i].output != other[i].output || one[i].shape.index() != other[i].shape.index())
      return false;
    const bool same = std::visit(
        [&](const auto& shape) {
          using T = std::decay_t<decltype(shape)>;
          if constexpr (std::is_same_v<T, std::monostate>) {
            return true;
          } else {
            return std::memcmp(&shape, &std::get<T>(other[i].shape), sizeof shape) == 0;
          }
        },
        one[i].shape);
    if (!same) return false;
  }
  return true;
}

}  // namespace fettle::inference
