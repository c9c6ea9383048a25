// Transposed convolution: the way back of a convolution taken as a way forward, so that it enlarges
// where the convolution would shrink. Dumoulin, Visin: "A guide to convolution arithmetic for deep
// learning", arXiv 1603.07285.
#pragma once

#include <array>

#include "engine/tensor.h"
#include "kernels/conv2d/conv2d.h"
#include "kernels/padding.h"

namespace fettle {

struct Conv2dTransposeOptions {
  std::array<int64_t, 2> strides = {1, 1};  ///< rows, columns
  /// As in Keras. same: the output is strides times the input. valid: strides * (H - 1) +
  /// max(R, strides).
  Padding padding = Padding::valid;
  Epilogue epilogue = Epilogue::linear;
};

/// y[n, p*stride + r - pad, ..., k] += x[n,p,q,c] * w[c,r,s,k], plus bias. x [N,H,W,C], w [C,R,S,K]
/// (Keras's kernel (R,S,K,C) with the last axis first), bias [K] or undefined.
/// Throws Error when the shapes do not fit one another.
Tensor conv2d_transpose(const Tensor& x, const Tensor& w, const Tensor& bias,
                        const Conv2dTransposeOptions& options);

}  // namespace fettle
