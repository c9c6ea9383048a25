// Elementwise sums and products of tensors of equal shape, and scaling by numbers.
#pragma once

#include "engine/tensor.h"

namespace fettle {

/// a + b and a * b, elementwise. Throw Error naming both shapes when they differ.
Tensor operator+(const Tensor& a, const Tensor& b);
Tensor operator*(const Tensor& a, const Tensor& b);

/// scale * x + offset.
Tensor rescale(const Tensor& x, float scale, float offset = 0);

}  // namespace fettle
