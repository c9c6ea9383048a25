// Pooling over windows of R x S pixels, channel by channel.
//
//   max:      y[n,p,q,c] = max of x over the window's pixels inside the picture
//   average:  y[n,p,q,c] = their mean; pixels of the padding do not count (as in Keras)
//
// The window of (p,q) begins at (p*stride_h - pad_top, q*stride_w - pad_left). Layouts: x
// [N,H,W,C], y [N,P,Q,C]. A window of the whole picture is global pooling. T is float or bf16.
#pragma once

#include <cstdint>

#include "kernels/device.h"

namespace fettle {

struct Pool2dShape {
  int64_t N = 1, H = 1, W = 1, C = 1;
  int64_t R = 1, S = 1;
  int64_t P = 1, Q = 1;
  int64_t stride_h = 1, stride_w = 1;
  int64_t pad_top = 0, pad_left = 0;  ///< smaller than R and S: no window lies outside the picture
};

/// Where in its window a maximum stands, the first of them row by row: r * S + s, in one byte where
/// windows have fewer than 64 pixels, as nearly all have, else as an int32_t.
constexpr int64_t bytes_a_place(const Pool2dShape& shape) {
  return shape.R * shape.S < 64 ? 1 : 4;
}

/// Whether the windows lie side by side and cover the picture.
constexpr bool side_by_side(const Pool2dShape& shape) {
  return shape.stride_h == shape.R && shape.stride_w == shape.S && shape.pad_top == 0 &&
         shape.pad_left == 0 && shape.P * shape.R == shape.H && shape.Q * shape.S == shape.W;
}

void max_pool2d_forward(Cpu, const Pool2dShape& shape, const float* x, float* y);
template <class T>
void max_pool2d_forward(Cuda, const Pool2dShape& shape, const T* x, T* y);
void max_pool2d_forward(Reference, const Pool2dShape& shape, const float* x, float* y);

/// The same with the places [N,P,Q,C] of the maxima, for the way back, which then needs no x.
void max_pool2d_forward(Cpu, const Pool2dShape& shape, const float* x, float* y, uint8_t* places);
template <class T>
void max_pool2d_forward(Cuda, const Pool2dShape& shape, const T* x, T* y, uint8_t* places);
void max_pool2d_forward(Reference, const Pool2dShape& shape, const float* x, float* y,
                        uint8_t* places);

/// dx [N,H,W,C]: dy goes to the window's maximum. With `adds` it is added to what is there.
void max_pool2d_backward(Cpu, const Pool2dShape& shape, const uint8_t* places, const float* dy,
                         float* dx, bool adds = false);
template <class T>
void max_pool2d_backward(Cuda, const Pool2dShape& shape, const uint8_t* places, const T* dy, T* dx,
                         bool adds = false);
void max_pool2d_backward(Reference, const Pool2dShape& shape, const uint8_t* places,
                         const float* dy, float* dx, bool adds = false);

void average_pool2d_forward(Cpu, const Pool2dShape& shape, const float* x, float* y);
template <class T>
void average_pool2d_forward(Cuda, const Pool2dShape& shape, const T* x, T* y);
void average_pool2d_forward(Reference, const Pool2dShape& shape, const float* x, float* y);

/// dx [N,H,W,C]: dy is shared evenly by the window's pixels.
void average_pool2d_backward(Cpu, const Pool2dShape& shape, const float* dy, float* dx);
template <class T>
void average_pool2d_backward(Cuda, const Pool2dShape& shape, const T* dy, T* dx);
void average_pool2d_backward(Reference, const Pool2dShape& shape, const float* dy, float* dx);

}  // namespace fettle
