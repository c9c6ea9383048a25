// Two-dimensional convolution (cross-correlation), in the three directions of training.
//
//   y[n,p,q,k] = sum over r,s,c of x[n, p*stride_h + r*dilation_h - pad_top,
//                                       q*stride_w + s*dilation_w - pad_left, g*C/groups + c]
//                                 * w[k,r,s,c],      g = k / (K/groups)
//
// with zeros outside x. Layouts: x [N,H,W,C], w [K,R,S,C/groups], y [N,P,Q,K], all
// contiguous; fp32, but for T, float or bf16 on a GPU, where gradients of w stay fp32.
// Chetlur et al.: "cuDNN: efficient primitives for deep learning", arXiv 1410.0759.
#pragma once

#include <cstdint>

#include "kernels/device.h"
#include "kernels/epilogue/epilogue.h"

namespace fettle {

/// The geometry of a convolution, in the field's letters. Padding at the bottom and the right is
/// implied by P and Q.
struct Conv2dShape {
  int64_t N = 1, H = 1, W = 1, C = 1;  ///< input
  int64_t K = 1, R = 1, S = 1;         ///< outputs, kernel rows, kernel columns
  int64_t P = 1, Q = 1;                ///< output rows and columns
  int64_t stride_h = 1, stride_w = 1;
  int64_t dilation_h = 1, dilation_w = 1;
  int64_t pad_top = 0, pad_left = 0;
  int64_t groups = 1;  ///< divides C and K
};

/// y = epilogue(x * w + bias + addend). bias [K] and addend [N,P,Q,K] may be nullptr; y may be
/// addend.
void conv2d_forward(Cpu, const Conv2dShape& shape, const float* x, const float* w,
                    const float* bias, Epilogue epilogue, float* y, const float* addend = nullptr);
template <class T>
void conv2d_forward(Cuda, const Conv2dShape& shape, const T* x, const T* w, const float* bias,
                    Epilogue epilogue, T* y, const T* addend = nullptr);
void conv2d_forward(Reference, const Conv2dShape& shape, const float* x, const float* w,
                    const float* bias, Epilogue epilogue, float* y, const float* addend = nullptr);

/// dx [N,H,W,C]: the gradient of the input from dy [N,P,Q,K], and addend [N,H,W,C] if it is not
/// nullptr; dx may be addend.
void conv2d_backward_input(Cpu, const Conv2dShape& shape, const float* dy, const float* w,
                           float* dx, const float* addend = nullptr);
template <class T>
void conv2d_backward_input(Cuda, const Conv2dShape& shape, const T* dy, const T* w, T* dx,
                           const T* addend = nullptr);
void conv2d_backward_input(Reference, const Conv2dShape& shape, const float* dy, const float* w,
                           float* dx, const float* addend = nullptr);

/// dw [K,R,S,C/groups]: the gradient of the weight from dy and x.
void conv2d_backward_weight(Cpu, const Conv2dShape& shape, const float* dy, const float* x,
                            float* dw);
template <class T>
void conv2d_backward_weight(Cuda, const Conv2dShape& shape, const T* dy, const T* x, float* dw);
void conv2d_backward_weight(Reference, const Conv2dShape& shape, const float* dy, const float* x,
                            float* dw);

}  // namespace fettle
