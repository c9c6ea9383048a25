// The messages of onnx.proto that fettle writes,
// https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
#pragma once

#include <string>
#include <vector>

#include "engine/shape.h"
#include "io/protobuf.h"

namespace fettle::onnx {

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
constexpr int float_type = 1;
}  // namespace tensor_proto

using Ints = std::vector<int64_t>;

inline ProtobufMessage attribute(const std::string& name, int type) {
  ProtobufMessage message;
  message.text(attribute_proto::name, name).integer(attribute_proto::type, type);
  return message;
}
inline ProtobufMessage attribute(const std::string& name, int64_t value) {
  return attribute(name, attribute_proto::int_type).integer(attribute_proto::i, value);
}
inline ProtobufMessage attribute(const std::string& name, float value) {
  return attribute(name, attribute_proto::float_type).number(attribute_proto::f, value);
}
inline ProtobufMessage attribute(const std::string& name, const char* value) {
  return attribute(name, attribute_proto::string_type).text(attribute_proto::s, value);
}
inline ProtobufMessage attribute(const std::string& name, const Ints& values) {
  ProtobufMessage message = attribute(name, attribute_proto::ints_type);
  for (const int64_t value : values) message.integer(attribute_proto::ints, value);
  return message;
}

/// An operation; its name is that of its output.
inline ProtobufMessage node(const std::string& type, const std::vector<std::string>& inputs,
                            const std::string& output,
                            const std::vector<ProtobufMessage>& attributes) {
  ProtobufMessage message;
  for (const std::string& input : inputs) message.text(node_proto::input, input);
  message.text(node_proto::output, output).text(node_proto::name, output);
  message.text(node_proto::op_type, type);
  for (const ProtobufMessage& one : attributes) message.message(node_proto::attribute, one);
  return message;
}

/// A constant.
inline ProtobufMessage tensor(const std::string& name, const Ints& shape,
                              const std::vector<float>& values) {
  ProtobufMessage message;
  for (const int64_t extent : shape) message.integer(tensor_proto::dims, extent);
  message.integer(tensor_proto::data_type, tensor_proto::float_type);
  message.text(tensor_proto::name, name);
  message.text(tensor_proto::raw_data,
               {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)});
  return message;
}

/// An input or output of float numbers, whose first axis is free and called N.
inline ProtobufMessage value_info(const std::string& name, const Shape& shape) {
  ProtobufMessage dimensions;
  dimensions.message(1, ProtobufMessage().text(2, "N"));
  for (int i = 1; i < shape.rank(); ++i)
    dimensions.message(1, ProtobufMessage().integer(1, shape[i]));
  const ProtobufMessage tensor_type =
      ProtobufMessage().integer(1, tensor_proto::float_type).message(2, dimensions);
  return ProtobufMessage().text(1, name).message(2, ProtobufMessage().message(1, tensor_type));
}

}  // namespace fettle::onnx
