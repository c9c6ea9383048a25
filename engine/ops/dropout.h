// Dropout. The equation is in kernels/dropout/dropout.h.
#pragma once

#include "engine/tensor.h"
#include "kernels/philox.h"

namespace fettle {

/// Sets a fraction `rate` (0 <= rate < 1) of x to zero and scales the rest by 1 / (1 - rate). The
/// mask depends on `key` alone.
Tensor dropout(const Tensor& x, float rate, RandomKey key);

}  // namespace fettle
