// A fully connected layer. The equation is in kernels/dense/dense.h.
#pragma once

#include "engine/tensor.h"
#include "kernels/dense/dense.h"

namespace fettle {

/// x [N,C], w [K,C], bias [K] or undefined; gives epilogue(x * w^T + bias) as [N,K].
/// Throws Error when the shapes do not fit one another.
Tensor dense(const Tensor& x, const Tensor& w, const Tensor& bias,
             Epilogue epilogue = Epilogue::linear);

}  // namespace fettle
