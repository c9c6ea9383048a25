// Rungs 5 to 7, whose activations are bf16 in memory; cuda.cu calls them.
#pragma once

#include "kernels/conv2d/plan.h"
#include "kernels/half.h"

namespace fettle {

/// `moments`, if it is not nullptr, as in cuda_wgmma.h.
void conv2d_forward_bf16(Cuda, const Conv2dPlan& plan, const Conv2dShape& shape, const bf16* x,
                         const bf16* w, const float* bias, Epilogue epilogue, bf16* y,
                         const bf16* addend, double* moments);
void conv2d_backward_input_bf16(Cuda, const Conv2dPlan& plan, const Conv2dShape& shape,
                                const bf16* dy, const bf16* w, bf16* dx, const bf16* addend);
void conv2d_backward_weight_bf16(Cuda, const Conv2dPlan& plan, const Conv2dShape& shape,
                                 const bf16* dy, const bf16* x, float* dw);

}  // namespace fettle
