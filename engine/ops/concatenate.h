// Joining tensors along the last axis (channels).
#pragma once

#include <vector>

#include "engine/tensor.h"

namespace fettle {

/// [..., C1], [..., C2], ... to [..., C1 + C2 + ...]. Throws Error when the other axes differ.
Tensor concatenate(const TensorList& parts);

}  // namespace fettle
