#include "io/onnx.h"

#include <algorithm>
#include <array>
#include <set>

#include "io/atomic_file.h"
#include "io/protobuf.h"

namespace fettle {
namespace {

// Numbers of the fields and types of onnx.proto.
namespace model_proto {
constexpr int ir_version = 1, producer_name = 2, graph = 7, opset_import = 8, metadata_props = 14;
}
namespace graph_proto {
constexpr int node = 1, name = 2, initializer = 5, input = 11, output = 12;
}
namespace node_proto {
constexpr int input = 1, output = 2, name = 3, op_type = 4, attribute = 5;
}
namespace attribute_proto {
constexpr int name = 1, f = 2, i = 3, s = 4, ints = 8, type = 20;
constexpr int float_type = 1, int_type = 2, string_type = 3, ints_type = 7;
}  // namespace attribute_proto
namespace tensor_proto {
constexpr int dims = 1, data_type = 2, name = 8, raw_data = 9;
constexpr int float_type = 1, int64_type = 7;
}  // namespace tensor_proto

using Ints = std::vector<int64_t>;
using Names = std::vector<std::string>;

ProtobufMessage attribute(const std::string& name, int type) {
  ProtobufMessage message;
  message.text(attribute_proto::name, name).integer(attribute_proto::type, type);
  return message;
}
ProtobufMessage attribute(const std::string& name, int64_t value) {
  return attribute(name, attribute_proto::int_type).integer(attribute_proto::i, value);
}
ProtobufMessage attribute(const std::string& name, float value) {
  return attribute(name, attribute_proto::float_type).number(attribute_proto::f, value);
}
ProtobufMessage attribute(const std::string& name, const char* value) {
  return attribute(name, attribute_proto::string_type).text(attribute_proto::s, value);
}
ProtobufMessage attribute(const std::string& name, const Ints& values) {
  ProtobufMessage message = attribute(name, attribute_proto::ints_type);
  for (const int64_t value : values) message.integer(attribute_proto::ints, value);
  return message;
}

/// The elements of a tensor [A,R,S,B] in the order [A,B,R,S].
std::vector<float> last_axis_second(const Tensor& tensor) {
  const std::vector<float> from = tensor.to_vector();
  const Shape& shape = tensor.shape();
  const int64_t A = shape[0], middle = shape[1] * shape[2], B = shape[3];
  std::vector<float> to(from.size());
  for (int64_t a = 0; a < A; ++a)
    for (int64_t m = 0; m < middle; ++m)
      for (int64_t b = 0; b < B; ++b)
        to[static_cast<size_t>((a * B + b) * middle + m)] =
            from[static_cast<size_t>((a * middle + m) * B + b)];
  return to;
}

/// Padding at the end that ONNX must be told; where the last pixels are not read there is none.
int64_t pad_after(int64_t outputs, int64_t stride, int64_t window, int64_t extent, int64_t before) {
  return std::max<int64_t>((outputs - 1) * stride + window - extent - before, 0);
}

/// Builds the GraphProto. A value of four axes is held as [N,C,H,W].
class GraphWriter {
 public:
  GraphWriter(const Graph& graph, const OnnxOptions& options)
      : graph_(graph), names_(graph.values.size()) {
    message_.text(graph_proto::name, "fettle");
    message_.message(graph_proto::input, value_info(options.input, shape_of(graph.input)));
    std::string input = options.input;
    if (options.standardize) input = standardized(input);
    names_.at(static_cast<size_t>(graph.input)) =
        shape_of(graph.input).rank() == 4 ? channels_first(input) : input;
    for (const GraphNode& node : graph.nodes) {
      node_ = &node;
      const std::string output =
          std::visit([&](const auto& op) { return write(op); }, node.operation);
      names_.at(static_cast<size_t>(node.output)) = output;
    }
    for (const auto& [name, value] : options.outputs) {
      const bool turn = shape_of(value).rank() == 4;
      add(turn ? "Transpose" : "Identity", {name_of(value)},
          turn ? Attributes{attribute("perm", Ints{0, 2, 3, 1})} : Attributes{}, name);
      message_.message(graph_proto::output, value_info(name, shape_of(value)));
    }
  }

  const ProtobufMessage& message() const { return message_; }

 private:
  using Attributes = std::vector<ProtobufMessage>;

  const Shape& shape_of(int value) const {
    return graph_.values.at(static_cast<size_t>(value)).shape;
  }
  const Shape& input_shape(size_t i) const { return shape_of(node_->inputs.at(i)); }
  const Shape& output_shape() const { return shape_of(node_->output); }

  const std::string& name_of(int value) const {
    const std::string& name = names_.at(static_cast<size_t>(value));
    require(!name.empty(), "ONNX: the model computes with '",
            graph_.values[static_cast<size_t>(value)].name,
            "' where pictures are expected; this cannot be exported");
    return name;
  }
  std::string input(size_t i) const { return name_of(node_->inputs.at(i)); }

  static ProtobufMessage value_info(const std::string& name, const Shape& shape) {
    ProtobufMessage dimensions;
    dimensions.message(1, ProtobufMessage().text(2, "N"));
    for (int i = 1; i < shape.rank(); ++i)
      dimensions.message(1, ProtobufMessage().integer(1, shape[i]));
    const ProtobufMessage tensor =
        ProtobufMessage().integer(1, tensor_proto::float_type).message(2, dimensions);
    return ProtobufMessage().text(1, name).message(2, ProtobufMessage().message(1, tensor));
  }

  /// Adds a node and returns the name of its output.
  std::string add(const std::string& type, const Names& inputs, const Attributes& attributes = {},
                  std::string output = "") {
    if (output.empty()) output = cat(type, '_', ++count_);
    ProtobufMessage node;
    for (const std::string& input : inputs) node.text(node_proto::input, input);
    node.text(node_proto::output, output).text(node_proto::name, output);
    node.text(node_proto::op_type, type);
    for (const ProtobufMessage& one : attributes) node.message(node_proto::attribute, one);
    message_.message(graph_proto::node, node);
    return output;
  }

  /// Adds an initializer, unless one of that name is there, and returns its name.
  template <class T>
  std::string add_constant(const std::string& name, const Ints& shape,
                           const std::vector<T>& values) {
    if (!written_.insert(name).second) return name;
    ProtobufMessage tensor;
    for (const int64_t extent : shape) tensor.integer(tensor_proto::dims, extent);
    tensor.integer(tensor_proto::data_type,
                   std::is_same_v<T, float> ? tensor_proto::float_type : tensor_proto::int64_type);
    tensor.text(tensor_proto::name, name);
    tensor.text(tensor_proto::raw_data,
                {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)});
    message_.message(graph_proto::initializer, tensor);
    return name;
  }
  std::string scalar(float value) {
    return add_constant(cat("constant_", ++count_), {}, std::vector<float>{value});
  }

  /// A weight of the node; one of four axes with its last axis second.
  std::string weight(size_t i) {
    const GraphValue& value = graph_.values.at(static_cast<size_t>(node_->inputs.at(i)));
    require(value.constant.defined(), "ONNX: weights that the model computes cannot be exported");
    const Shape& s = value.shape;
    if (s.rank() == 4)
      return add_constant(value.name, {s[0], s[3], s[1], s[2]}, last_axis_second(value.constant));
    return add_constant(value.name, {s.begin(), s.end()}, value.constant.to_vector());
  }
  /// The inputs of an operation with a weight and perhaps a bias.
  Names with_weights() {
    Names names = {input(0), weight(1)};
    if (node_->inputs.at(2) != Graph::absent) names.push_back(weight(2));
    return names;
  }
  std::string finished(Epilogue epilogue, const std::string& sums) {
    return epilogue == Epilogue::relu ? add("Relu", {sums}) : sums;
  }

  std::string channels_first(const std::string& name) {
    return add("Transpose", {name}, {attribute("perm", Ints{0, 3, 1, 2})});
  }

  std::string standardized(const std::string& name) {
    const Attributes over_picture = {attribute("axes", Ints{1, 2, 3})};
    const std::string centred = add("Sub", {name, add("ReduceMean", {name}, over_picture)});
    const std::string variance = add("ReduceMean", {add("Mul", {centred, centred})}, over_picture);
    // The floor is below every deviation but that of a picture of one colour.
    return add("Div", {centred, add("Max", {add("Sqrt", {variance}), scalar(1e-3f)})});
  }

  // One function an operation; each returns the name of what it computes.

  std::string write(const graph::Conv2d& op) {
    const Conv2dShape& s = op.shape;
    const int64_t rows = (s.R - 1) * s.dilation_h + 1, columns = (s.S - 1) * s.dilation_w + 1;
    const Ints pads = {s.pad_top, s.pad_left, pad_after(s.P, s.stride_h, rows, s.H, s.pad_top),
                       pad_after(s.Q, s.stride_w, columns, s.W, s.pad_left)};
    return finished(op.epilogue, add("Conv", with_weights(),
                                     {attribute("kernel_shape", Ints{s.R, s.S}),
                                      attribute("strides", Ints{s.stride_h, s.stride_w}),
                                      attribute("dilations", Ints{s.dilation_h, s.dilation_w}),
                                      attribute("pads", pads), attribute("group", s.groups)}));
  }

  std::string write(const graph::Conv2dTranspose& op) {
    const Conv2dShape& s = op.shape;
    // What the windows cover beyond the output is cut off; what they lack is added.
    const int64_t below = (s.P - 1) * s.stride_h + s.R - s.pad_top - s.H;
    const int64_t right = (s.Q - 1) * s.stride_w + s.S - s.pad_left - s.W;
    const auto positive = [](int64_t n) { return std::max<int64_t>(n, 0); };
    return finished(
        op.epilogue,
        add("ConvTranspose", with_weights(),
            {attribute("kernel_shape", Ints{s.R, s.S}),
             attribute("strides", Ints{s.stride_h, s.stride_w}),
             attribute("pads", Ints{s.pad_top, s.pad_left, positive(below), positive(right)}),
             attribute("output_padding", Ints{positive(-below), positive(-right)})}));
  }

  std::string write(const graph::Dense& op) {
    return finished(op.epilogue, add("Gemm", with_weights(), {attribute("transB", int64_t{1})}));
  }

  std::string write(const graph::BatchNorm& op) {
    require(!op.of_batch,
            "ONNX: batch-norm uses the statistics of the batch, so that the answer for a picture "
            "depends on its neighbours; export with --bn-statistics moving");
    return add("BatchNormalization", {input(0), weight(1), weight(2), weight(3), weight(4)},
               {attribute("epsilon", op.epsilon)});
  }

  std::string write(const graph::Elementwise& op) {
    switch (op.function) {
      case Unary::relu:
        return add("Relu", {input(0)});
      case Unary::relu6:
        return add("Clip", {input(0), scalar(0), scalar(6)});
      case Unary::sigmoid:
        return add("Sigmoid", {input(0)});
      case Unary::swish:
        return add("Mul", {input(0), add("Sigmoid", {input(0)})});
    }
    throw Error("ONNX: an elementwise function is not known");
  }

  /// The axis in the file that is the last one of a value.
  int64_t last_axis(const Shape& shape) const {
    require(shape.rank() == 4 || shape.rank() == 2, "ONNX: values of ", shape.rank(),
            " axes cannot be exported, only pictures and vectors");
    return 1;
  }

  std::string write(const graph::Softmax&) {
    return add("Softmax", {input(0)}, {attribute("axis", last_axis(output_shape()))});
  }
  std::string write(const graph::Concatenate&) {
    Names parts;
    for (size_t i = 0; i < node_->inputs.size(); ++i) parts.push_back(input(i));
    return add("Concat", parts, {attribute("axis", last_axis(output_shape()))});
  }

  std::string write(const graph::Rescale& op) {
    const std::string scaled = add("Mul", {input(0), scalar(op.scale)});
    return op.offset == 0 ? scaled : add("Add", {scaled, scalar(op.offset)});
  }
  std::string write(const graph::Add&) { return add("Add", {input(0), input(1)}); }
  std::string write(const graph::Multiply&) { return add("Mul", {input(0), input(1)}); }

  Attributes window(const Pool2dShape& s) const {
    return {attribute("kernel_shape", Ints{s.R, s.S}),
            attribute("strides", Ints{s.stride_h, s.stride_w}),
            attribute("pads",
                      Ints{s.pad_top, s.pad_left, pad_after(s.P, s.stride_h, s.R, s.H, s.pad_top),
                           pad_after(s.Q, s.stride_w, s.S, s.W, s.pad_left)})};
  }
  std::string write(const graph::MaxPool2d& op) {
    return add("MaxPool", {input(0)}, window(op.shape));
  }
  std::string write(const graph::AveragePool2d& op) {
    return add("AveragePool", {input(0)}, window(op.shape));  // by default padding does not count
  }

  std::string write(const graph::Upsample2d& op) {
    const std::string scales =
        add_constant(cat("scales_", ++count_), {4},
                     std::vector<float>{1, 1, static_cast<float>(op.shape.factor_h),
                                        static_cast<float>(op.shape.factor_w)});
    const bool nearest = op.interpolation == Upsampling::nearest;
    Attributes how = {
        attribute("mode", nearest ? "nearest" : "linear"),
        attribute("coordinate_transformation_mode", nearest ? "asymmetric" : "half_pixel")};
    if (nearest) how.push_back(attribute("nearest_mode", "floor"));
    return add("Resize", {input(0), "", scales}, how);
  }

  std::string write(const graph::Reshape&) {
    const Shape& from = input_shape(0);
    const Shape& to = output_shape();
    require(to.rank() == 2 && from[0] == to[0], "ONNX: a reshape from ", from, " to ", to,
            " cannot be exported, only one that flattens each picture");
    if (from.rank() == 2) return add("Identity", {input(0)});
    const bool one_pixel = from.rank() == 4 && from[1] * from[2] == 1;
    const std::string turned =
        from.rank() == 4 && !one_pixel
            ? add("Transpose", {input(0)}, {attribute("perm", Ints{0, 2, 3, 1})})
            : input(0);
    return add("Flatten", {turned}, {attribute("axis", int64_t{1})});
  }

  const Graph& graph_;
  const GraphNode* node_ = nullptr;
  Names names_;  // of the values in the file; "" for what was not computed
  std::set<std::string> written_;
  ProtobufMessage message_;
  int count_ = 0;
};

}  // namespace

void write_onnx(const std::string& path, const Graph& graph, const OnnxOptions& options) {
  require(!options.outputs.empty(), "ONNX: a file needs at least one output");
  ProtobufMessage model;
  model.integer(model_proto::ir_version, 8).text(model_proto::producer_name, "fettle");
  model.message(model_proto::opset_import, ProtobufMessage().text(1, "").integer(2, 17));
  for (const auto& [key, value] : options.metadata)
    model.message(model_proto::metadata_props, ProtobufMessage().text(1, key).text(2, value));
  model.message(model_proto::graph, GraphWriter(graph, options).message());
  constexpr size_t limit = (size_t{1} << 31) - 1;
  require(model.bytes().size() <= limit, "'", path, "' would have ", model.bytes().size(),
          " bytes; an ONNX file holds at most 2 GiB");
  write_file(path, model.bytes());
}

}  // namespace fettle
