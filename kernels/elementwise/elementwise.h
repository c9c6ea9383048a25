// Elementwise arithmetic on flat arrays of n elements, fp32 or, where a function has a T, float or
// bf16 on the GPU. An output may be one of the inputs.
#pragma once

#include <cstdint>

#include "kernels/device.h"
#include "kernels/half.h"

namespace fettle {

/// y = value.
void fill(Cpu, int64_t n, float value, float* y);
void fill(Cuda, int64_t n, float value, float* y);
void fill(Reference, int64_t n, float value, float* y);

/// y = a + b.
void add(Cpu, int64_t n, const float* a, const float* b, float* y);
template <class T>
void add(Cuda, int64_t n, const T* a, const T* b, T* y);
void add(Reference, int64_t n, const float* a, const float* b, float* y);

/// y = a * b.
void multiply(Cpu, int64_t n, const float* a, const float* b, float* y);
template <class T>
void multiply(Cuda, int64_t n, const T* a, const T* b, T* y);
void multiply(Reference, int64_t n, const float* a, const float* b, float* y);

/// y = scale * x + offset.
void scale_offset(Cpu, int64_t n, float scale, float offset, const float* x, float* y);
void scale_offset(Cuda, int64_t n, float scale, float offset, const float* x, float* y);
void scale_offset(Reference, int64_t n, float scale, float offset, const float* x, float* y);

/// The smooth and the broken line.
///   relu: max(x, 0);  relu6: min(max(x, 0), 6);  sigmoid: 1 / (1 + exp(-x));
///   swish: x * sigmoid(x) (Ramachandran et al., arXiv 1710.05941).
enum class Unary { relu, relu6, sigmoid, swish };

/// y = f(x).
void unary_forward(Cpu, Unary f, int64_t n, const float* x, float* y);
template <class T>
void unary_forward(Cuda, Unary f, int64_t n, const T* x, T* y);
void unary_forward(Reference, Unary f, int64_t n, const float* x, float* y);

/// dx = dy * f'(x). The derivative of relu and relu6 is 0 at their corners.
void unary_backward(Cpu, Unary f, int64_t n, const float* x, const float* dy, float* dx);
template <class T>
void unary_backward(Cuda, Unary f, int64_t n, const T* x, const T* dy, T* dx);
void unary_backward(Reference, Unary f, int64_t n, const float* x, const float* dy, float* dx);

/// y = x in another type, rounded to nearest, ties to even.
void convert(Cuda, int64_t n, const float* x, bf16* y);
void convert(Cuda, int64_t n, const bf16* x, float* y);

}  // namespace fettle
