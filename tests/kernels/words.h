// Kernels that do one word of kernels/cu.h each, so that a GPU and the executor can be held to the
// same answers.
#pragma once

#include <cstdint>

#include "kernels/device.h"

namespace fettle {

/// d[16,8] += a[16,16] * b[16,8], row by row; a and b are rounded to bf16 first.
void word_mma_bf16(Cuda, const float* a, const float* b, float* d);
/// d[16,8] += a[16,8] * b[8,8] in tf32.
void word_mma_tf32(Cuda, const float* a, const float* b, float* d);
/// registers [32 lanes, 4] from four 8x8 matrices of 16 bits, [4,8,8].
void word_ldmatrix(Cuda, bool transposed, const uint16_t* matrices, uint32_t* registers);
/// y[i] = x[i] through cp_async of 4, 8 and 16 bytes (n = 32 * 7 floats), zeros in the second half
/// of each kind.
void word_cp_async(Cuda, const float* x, float* y);
/// to_tf32, and from_float of both short types, of n numbers.
void word_round(Cuda, int n, const float* x, uint32_t* tf32, uint16_t* bf16, uint16_t* fp16);
/// to_float of every fp16: y [65536].
void word_widen(Cuda, float* y);
/// Sums of a warp and of a block of 96, the largest of a warp, votes and shuffles: y [96,6].
void word_exchange(Cuda, const float* x, float* y);

}  // namespace fettle
