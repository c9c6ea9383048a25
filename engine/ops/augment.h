// Changes of training pictures [N,H,W,C]; see kernels/augment/augment.h. They have no gradient and
// throw Error for an input that wants one.
#pragma once

#include "engine/tensor.h"
#include "kernels/augment/augment.h"

namespace fettle {

/// transforms f32 [N,6]: from an output pixel to its place in the input.
Tensor affine_transform(const Tensor& x, const Tensor& transforms, Interpolation interpolation);

/// factors f32 [N].
Tensor adjust_contrast(const Tensor& x, const Tensor& factors);

/// deltas f32 [N]; the result stays between low and high.
Tensor adjust_brightness(const Tensor& x, const Tensor& deltas, float low, float high);

}  // namespace fettle
