// Rung 8 in the three directions.
#pragma once

#include "kernels/conv2d/conv2d.h"

namespace fettle {

/// As in conv2d.h, where groups = C = K and plan_conv2d may choose rung 8.
template <class T>
void conv2d_forward_depthwise(Cuda, const Conv2dShape& shape, const T* x, const T* w,
                              const float* bias, Epilogue epilogue, T* y, const T* addend);
template <class T>
void conv2d_backward_input_depthwise(Cuda, const Conv2dShape& shape, const T* dy, const T* w, T* dx,
                                     const T* addend);
template <class T>
void conv2d_backward_weight_depthwise(Cuda, const Conv2dShape& shape, const T* dy, const T* x,
                                      float* dw);

}  // namespace fettle
