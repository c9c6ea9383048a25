// A fully connected layer in the three directions of training.
//
//   y[n,k] = sum over c of x[n,c] * w[k,c] + bias[k], then the epilogue
//
// Layouts: x [N,C], w [K,C], y [N,K], contiguous fp32.
#pragma once

#include <cstdint>

#include "kernels/device.h"
#include "kernels/epilogue/epilogue.h"

namespace fettle {

struct DenseShape {
  int64_t N = 1, C = 1, K = 1;
};

/// y = epilogue(x * w^T + bias); bias [K] may be nullptr.
void dense_forward(Cpu, const DenseShape& shape, const float* x, const float* w, const float* bias,
                   Epilogue epilogue, float* y);
void dense_forward(Cuda, const DenseShape& shape, const float* x, const float* w, const float* bias,
                   Epilogue epilogue, float* y);
void dense_forward(Reference, const DenseShape& shape, const float* x, const float* w,
                   const float* bias, Epilogue epilogue, float* y);

/// dx [N,C] = dy * w.
void dense_backward_input(Cpu, const DenseShape& shape, const float* dy, const float* w, float* dx);
void dense_backward_input(Cuda, const DenseShape& shape, const float* dy, const float* w,
                          float* dx);
void dense_backward_input(Reference, const DenseShape& shape, const float* dy, const float* w,
                          float* dx);

/// dw [K,C] = dy^T * x.
void dense_backward_weight(Cpu, const DenseShape& shape, const float* dy, const float* x,
                           float* dw);
void dense_backward_weight(Cuda, const DenseShape& shape, const float* dy, const float* x,
                           float* dw);
void dense_backward_weight(Reference, const DenseShape& shape, const float* dy, const float* x,
                           float* dw);

}  // namespace fettle
