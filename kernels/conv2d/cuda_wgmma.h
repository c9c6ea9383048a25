// Rung 6 from its operands on: bf16 that cuda_bf16.cu has made, or floats that cuda.cu hands on.
#pragma once

#include "kernels/conv2d/operands.cuh"
#include "kernels/conv2d/plan.h"

namespace fettle {

/// What the three directions share: `shape` is that of the real tensors, those in bf16 have their
/// channels filled up to eights. In tf32 `a` and `b` are aligned to 16 bytes and their channels
/// come in fours.
struct WgmmaCall {
  const char* name;
  Cuda device;
  Conv2dPlan plan;
  Conv2dShape shape;
  const void *a, *b;  ///< of plan.precision
  GemmOutput out;
  /// Forward in one part writes there, [tiles of rows,2,K], of each tile of the plan the sums of
  /// its pixels and of their squares.
  double* moments = nullptr;
};

/// a = x, b = w.
void conv2d_forward_wgmma(const WgmmaCall& call);
/// a = dy, b = w, in tf32 as transposed_filters makes them.
void conv2d_backward_input_wgmma(const WgmmaCall& call);
/// a = dy, b = x.
void conv2d_backward_weight_wgmma(const WgmmaCall& call);

}  // namespace fettle
