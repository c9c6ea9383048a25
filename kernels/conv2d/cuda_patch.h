// Rung 7, of bf16 and of floats that are multiplied in tf32; cuda.cu and cuda_bf16.cu call it.
#pragma once

#include "kernels/conv2d/operands.cuh"

namespace fettle {

/// `x` and the filters have C in whole chunks of 16 bytes: bf16 are filled up to eights.
template <class E>
void conv2d_forward_patch(const char* name, Cuda device, const Conv2dShape& s, const E* x,
                          const E* w, const GemmOutput& out);
/// The same of `dy`, and of K.
template <class E>
void conv2d_backward_input_patch(const char* name, Cuda device, const Conv2dShape& s, const E* dy,
                                 const E* w, const GemmOutput& out);

}  // namespace fettle
