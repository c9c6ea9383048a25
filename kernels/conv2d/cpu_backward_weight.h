// The gradient of a convolution's weight on the CPU.
#pragma once

#include "kernels/conv2d/tap_sum.h"

namespace fettle {

/// conv2d_backward_weight of one group.
void backward_weight(const Conv2dShape& shape, const Group& group, const float* dy, const float* x,
                     float* dw);

}  // namespace fettle
