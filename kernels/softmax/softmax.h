// Softmax over the last axis of [N,K]: y[n,k] = exp(x[n,k]) / sum over j of exp(x[n,j]).
#pragma once

#include <cstdint>

#include "kernels/device.h"

namespace fettle {

void softmax_forward(Cpu, int64_t N, int64_t K, const float* x, float* y);
void softmax_forward(Cuda, int64_t N, int64_t K, const float* x, float* y);
void softmax_forward(Reference, int64_t N, int64_t K, const float* x, float* y);

/// dx = y * (dy - sum over j of y[j] * dy[j]), from the output y.
void softmax_backward(Cpu, int64_t N, int64_t K, const float* y, const float* dy, float* dx);
void softmax_backward(Cuda, int64_t N, int64_t K, const float* y, const float* dy, float* dx);
void softmax_backward(Reference, int64_t N, int64_t K, const float* y, const float* dy, float* dx);

}  // namespace fettle
