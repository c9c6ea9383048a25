// Changes of training pictures [N,H,W,C]; see kernels/augment/augment.h. They have no gradient and
// throw Error for an input that wants one.
//
// The result stays pending (Tensor::deferred): the next change joins it, and whoever reads it
// computes all of them at once, on a GPU in one kernel from the bytes of a picture.
#pragma once

#include "engine/tensor.h"
#include "kernels/augment/augment.h"

namespace fettle {

/// u8 pictures as f32, pending: with `scaling` f32 [N,2], a mean and a factor for each picture,
/// (byte - mean) * factor. f32 ones are what they are.
Tensor pictures(const Tensor& x, const Tensor& scaling = {});

/// transforms f32 [N,6]: from an output pixel to its place in the input.
Tensor affine_transform(const Tensor& x, const Tensor& transforms, Interpolation interpolation);

/// factors f32 [N].
Tensor adjust_contrast(const Tensor& x, const Tensor& factors);

/// deltas f32 [N]; the result stays between low and high.
Tensor adjust_brightness(const Tensor& x, const Tensor& deltas, float low, float high);

/// scale * x + offset, pending, if x is pending pictures; else undefined.
Tensor fused_rescale(const Tensor& x, float scale, float offset);

}  // namespace fettle
