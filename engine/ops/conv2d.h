// Two-dimensional convolution with an optional bias and ReLU. The equation is in
// kernels/conv2d/conv2d.h.
#pragma once

#include <array>
#include <optional>

#include "engine/tensor.h"
#include "kernels/batch_norm/batch_norm.h"
#include "kernels/conv2d/conv2d.h"
#include "kernels/padding.h"

namespace fettle {

struct Conv2dOptions {
  std::array<int64_t, 2> strides = {1, 1};  ///< rows, columns
  Padding padding = Padding::valid;
  std::optional<std::array<Pads, 2>> explicit_padding = {};  ///< rows, columns; replaces `padding`
  std::array<int64_t, 2> dilation = {1, 1};
  int64_t groups = 1;
  Epilogue epilogue = Epilogue::linear;
};

/// x [N,H,W,C], w [K,R,S,C/groups], bias [K] or undefined; gives [N,P,Q,K]. While gradients are
/// recorded, without an activation and on a GPU, pending (Tensor::deferred): batch-norm computes it
/// along with its statistics. Throws Error when the shapes do not fit one another.
Tensor conv2d(const Tensor& x, const Tensor& w, const Tensor& bias, const Conv2dOptions& options);

/// Computes a pending convolution, and mean and variance [K] of its pixels in the same pass, which
/// the moving statistics follow. False, and nothing is done, if x is no such tensor.
bool compute_conv2d_statistics(const Tensor& x, float* mean, float* variance,
                               const BatchNormMoving& moving);

/// The geometry of that convolution, after every check.
Conv2dShape conv2d_shape(const Tensor& x, const Tensor& w, const Conv2dOptions& options);

}  // namespace fettle
