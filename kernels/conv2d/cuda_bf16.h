// The rungs whose operands are bf16 in memory; cuda.cu calls them.
#pragma once

#include "kernels/conv2d/plan.h"

namespace fettle {

void conv2d_forward_bf16(Cuda, const Conv2dPlan& plan, const Conv2dShape& shape, const float* x,
                         const float* w, const float* bias, Epilogue epilogue, float* y);
void conv2d_backward_input_bf16(Cuda, const Conv2dPlan& plan, const Conv2dShape& shape,
                                const float* dy, const float* w, float* dx);
void conv2d_backward_weight_bf16(Cuda, const Conv2dPlan& plan, const Conv2dShape& shape,
                                 const float* dy, const float* x, float* dw);

}  // namespace fettle
