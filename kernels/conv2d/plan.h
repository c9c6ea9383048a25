// Which rung of the ladder computes a convolution on the GPU. Tests and benchmarks run every rung
// on every case through the functions with a plan; everybody else lets plan_conv2d choose.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kernels/conv2d/conv2d.h"
#include "kernels/precision.h"

namespace fettle {

/// The rungs, each in a file of its name and number.
enum class Conv2dRung {
  direct,
  tiled,
  implicit_gemm,
  tensor_core,
  multistage,
  wgmma,
  patch,
  depthwise
};
enum class Conv2dDirection { forward, backward_input, backward_weight };

/// Rungs 2 to 4 take activations of fp32, 5 of bf16, 6 and 7 of both, as do the first and the last,
/// which multiply in fp32.
struct Conv2dPlan {
  Conv2dRung rung = Conv2dRung::direct;
  Precision precision = Precision::fp32;
  /// Outputs a block: 64x32 or 128x64 (rung 3); those of tensor_core_tiles.h (rung 4); 64x64,
  /// 128x128, or 16 or 32 channels (rung 5); those of wgmma_tiles.h (rung 6).
  int tile = 0;
  int splits = 1;  ///< parts into which the summed axis is cut, added in order afterwards
};

/// A pure function of its arguments. `compute_capability` is 90 for Hopper; tensor cores are used
/// from 80 on, and for tf32 and bf16 only; rung 6 on 90 alone; rung 7 for few channels, 8 for
/// depthwise. bf16 says that activations are bf16 in memory, the others that they are fp32. The
/// rules are what was quickest on an H200 for the convolutions of ResNet50 and Res-UNet with 32
/// pictures (bench/results). A table of other plans comes before it: see plan_table.h.
Conv2dPlan plan_conv2d(Conv2dDirection direction, const Conv2dShape& shape, int compute_capability,
                       int multiprocessors, Precision precision = Precision::fp32);

/// "implicit_gemm fp32 128x64 in 4 splits". Rung 4's tiles go by what they are forward: 128x64 of
/// backward weight has 64 rows.
std::string to_string(const Conv2dPlan& plan);

/// Tiles of the result that the plan's blocks compute, of one split; of backward input as many as
/// would make the same work if all phases were as long as the longest.
int64_t conv2d_tiles(Conv2dDirection direction, const Conv2dShape& shape, const Conv2dPlan& plan);

/// Every plan that can compute this: what a test or a benchmark goes through.
std::vector<Conv2dPlan> all_conv2d_plans(Conv2dDirection direction, const Conv2dShape& shape,
                                         int compute_capability);

/// What the engine computes with on GPUs, for the whole process; fp32 at first. With bf16,
/// activations are bf16 in memory, and what stays fp32 is multiplied in tf32.
void set_gpu_precision(Precision precision);
Precision gpu_precision();

/// By `plan`, which must suit T, float or bf16.
template <class T>
void conv2d_forward(Cuda, const Conv2dPlan& plan, const Conv2dShape& shape, const T* x, const T* w,
                    const float* bias, Epilogue epilogue, T* y, const T* addend = nullptr);
template <class T>
void conv2d_backward_input(Cuda, const Conv2dPlan& plan, const Conv2dShape& shape, const T* dy,
                           const T* w, T* dx, const T* addend = nullptr);
template <class T>
void conv2d_backward_weight(Cuda, const Conv2dPlan& plan, const Conv2dShape& shape, const T* dy,
                            const T* x, float* dw);

}  // namespace fettle
