// A model's tensor with its path: what optimisers, checkpoints and weight files speak of.
#pragma once

#include <string>
#include <vector>

#include "engine/tensor.h"

namespace fettle {

struct NamedTensor {
  std::string name;       ///< dotted path, for example "layer1.0.conv2.weight"
  Tensor tensor;          ///< a handle: writing to it changes the model
  bool parameter = true;  ///< false for buffers such as moving statistics
  bool trainable = true;  ///< a parameter of a layer that is not frozen
};

using NamedTensors = std::vector<NamedTensor>;

}  // namespace fettle
