// Enlarging [N,H,W,C] by whole factors: y is [N, H*factor_h, W*factor_w, C], or these channels of a
// wider tensor.
//
//   nearest:   y[n,p,q,c] = x[n, p / factor_h, q / factor_w, c]
//   bilinear:  x at ((p + 0.5) / factor_h - 0.5, (q + 0.5) / factor_w - 0.5) between the four
//              pixels around it, edge pixels repeated (half-pixel centres, as Keras and PyTorch's
//              align_corners=False)
//
// The backward gathers: every input pixel sums its own outputs in a fixed order, so that it is the
// same bit by bit from run to run. T is float or bf16.
#pragma once

#include <cstdint>

#include "kernels/device.h"

namespace fettle {

enum class Upsampling { nearest, bilinear };

struct Upsample2dShape {
  int64_t N = 1, H = 1, W = 1, C = 1;
  int64_t factor_h = 2, factor_w = 2;
  int64_t pitch = 0;  ///< elements from a pixel of y to the next; 0 means C

  constexpr int64_t y_pixel() const { return pitch > 0 ? pitch : C; }
};

void upsample2d_forward(Cpu, const Upsample2dShape& shape, Upsampling how, const float* x,
                        float* y);
template <class T>
void upsample2d_forward(Cuda, const Upsample2dShape& shape, Upsampling how, const T* x, T* y);
void upsample2d_forward(Reference, const Upsample2dShape& shape, Upsampling how, const float* x,
                        float* y);

/// dx [N,H,W,C]; dy lies as y does.
void upsample2d_backward(Cpu, const Upsample2dShape& shape, Upsampling how, const float* dy,
                         float* dx);
template <class T>
void upsample2d_backward(Cuda, const Upsample2dShape& shape, Upsampling how, const T* dy, T* dx);
void upsample2d_backward(Reference, const Upsample2dShape& shape, Upsampling how, const float* dy,
                         float* dx);

}  // namespace fettle
