// Sums over whole tensors.
#pragma once

#include "engine/tensor.h"

namespace fettle {

/// The sum of all elements, [1].
Tensor sum(const Tensor& x);
/// The mean of all elements, [1].
Tensor mean(const Tensor& x);

}  // namespace fettle
