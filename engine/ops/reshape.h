// Other shapes for the same elements; nothing is copied.
#pragma once

#include "engine/tensor.h"

namespace fettle {

/// x under another shape of the same size.
Tensor reshape(const Tensor& x, const Shape& shape);

/// [N,...] as [N,C].
Tensor flatten(const Tensor& x);

}  // namespace fettle
