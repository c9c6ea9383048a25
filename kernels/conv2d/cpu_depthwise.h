// Depthwise convolution on the CPU: every input channel is a group of its own, with K/C outputs.
// The equation is in conv2d.h.
#pragma once

#include "kernels/conv2d/conv2d.h"

namespace fettle {

/// Whether the functions below are the way to compute it: one input channel a group, and more
/// groups than a group has outputs.
bool is_depthwise(const Conv2dShape& shape);

/// conv2d_forward, conv2d_backward_input and conv2d_backward_weight of a depthwise shape.
void depthwise_forward(const Conv2dShape& shape, const float* x, const float* w, const float* bias,
                       Epilogue epilogue, float* y);
void depthwise_backward_input(const Conv2dShape& shape, const float* dy, const float* w, float* dx);
void depthwise_backward_weight(const Conv2dShape& shape, const float* dy, const float* x,
                               float* dw);

/// Working memory of depthwise_forward() at most: of the thread that calls it, and of every one
/// that works.
int64_t depthwise_caller_floats(const Conv2dShape& shape);
int64_t depthwise_thread_floats(const Conv2dShape& shape);

}  // namespace fettle
