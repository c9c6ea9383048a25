// Rung 6 from its bf16 operands on; cuda_bf16.cu makes them and calls this.
#pragma once

#include "kernels/conv2d/operands.cuh"
#include "kernels/conv2d/plan.h"

namespace fettle {

/// What the three directions share: `shape` is that of the real tensors, those in bf16 have their
/// channels filled up to eights.
struct WgmmaCall {
  const char* name;
  Cuda device;
  Conv2dPlan plan;
  Conv2dShape shape;
  const bf16 *a, *b;
  GemmOutput out;
};

/// a = x, b = w.
void conv2d_forward_wgmma(const WgmmaCall& call);
/// a = dy, b = w.
void conv2d_backward_input_wgmma(const WgmmaCall& call);
/// a = dy, b = x.
void conv2d_backward_weight_wgmma(const WgmmaCall& call);

}  // namespace fettle
