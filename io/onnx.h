// A model as a file of ONNX (Open Neural Network Exchange), for ONNX Runtime, TensorRT, OpenVINO,
// OpenCV and whatever else reads it: IR version 8, operator set 17.
// https://github.com/onnx/onnx/blob/main/docs/IR.md
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "engine/graph.h"

namespace fettle {

struct OnnxOptions {
  /// The name of the graph's input.
  std::string input = "pictures";
  /// Names of the outputs and the values that they are; at least one.
  std::vector<std::pair<std::string, int>> outputs = {};
  /// Each picture gets the mean 0 and the deviation 1 before the graph, as io/picture.h's
  /// standardization() gives it.
  bool standardize = false;
  /// Texts for whoever reads the file.
  std::vector<std::pair<std::string, std::string>> metadata = {};
};

/// Writes a graph that was recorded for any number of pictures; in the file that number is free.
///
/// Pictures and masks stay [N,H,W,C], as decoders give them and fettle takes them, so that nobody
/// has to turn anything; ONNX convolves [N,C,H,W], so the file turns them itself, once after the
/// input and once before outputs of four axes and Flatten. Weights keep their paths as names.
///
/// Throws Error when batch-norm uses the batch's statistics (their result depends on what else is
/// in the batch, and the file must give the same answer for every picture), when an operation mixes
/// the pictures of a batch or has a shape that ONNX cannot take, and when the weights do not fit
/// the 2 GiB of a Protocol Buffers message.
void write_onnx(const std::string& path, const Graph& graph, const OnnxOptions& options);

}  // namespace fettle
