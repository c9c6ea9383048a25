// What a convolution or a dense layer applies to its sums before it writes them, and the way back
// in one pass.
//
//   y[i,k] = f(z[i,k] + bias[k]),   f linear or ReLU
//   dz[i,k] = dy[i,k] * f'(.),      dbias[k] = sum over i of dz[i,k]
//
// ReLU's derivative is read off y itself: 1 where y > 0, else 0. On a GPU, z, y and their gradients
// are arrays of T, float or bf16.
#pragma once

#include <cstdint>

#include "kernels/device.h"

namespace fettle {

enum class Epilogue { linear, relu };

/// y = f(z + bias) of z [rows,K], for sums that another kernel has written; y may be z.
void epilogue_forward(Cpu, int64_t rows, int64_t K, Epilogue epilogue, const float* z,
                      const float* bias, float* y);
template <class T>
void epilogue_forward(Cuda, int64_t rows, int64_t K, Epilogue epilogue, const T* z,
                      const float* bias, T* y);
void epilogue_forward(Reference, int64_t rows, int64_t K, Epilogue epilogue, const float* z,
                      const float* bias, float* y);

/// dz [rows,K] from dy [rows,K] and, for ReLU, y [rows,K]; dbias [K]. For a linear epilogue dz
/// equals dy and may be nullptr; dbias may be nullptr. dz may be dy.
void epilogue_backward(Cpu, int64_t rows, int64_t K, Epilogue epilogue, const float* dy,
                       const float* y, float* dz, float* dbias);
template <class T>
void epilogue_backward(Cuda, int64_t rows, int64_t K, Epilogue epilogue, const T* dy, const T* y,
                       T* dz, float* dbias);
void epilogue_backward(Reference, int64_t rows, int64_t K, Epilogue epilogue, const float* dy,
                       const float* y, float* dz, float* dbias);

}  // namespace fettle
