// A convolution of bf16 numbers on the CPU, for processors that multiply pairs of them
// (AVX512-BF16). Input and weights are rounded to 8 bits of mantissa; sums, bias, residual and
// output stay fp32.
#pragma once

#include <cstdint>

#include "kernels/conv2d/tap_sum.h"

namespace fettle {

/// Whether this processor has the instructions.
bool has_bf16();

/// Whether it has, and the sum's channels come in pairs.
bool bf16_suits(const TapSum& sum);

/// How many floats' room the packed weights take, [panel][tap][pair of channels][columns of the
/// panel] of pairs of bf16, with zeros beyond K; their way there, and sum.out computed with them.
int64_t bf16_packed_floats(const TapSum& sum);
void bf16_pack(const TapSum& sum, float* packed);
void bf16_run(const TapSum& sum, const float* packed);

/// Working memory of every thread that works on bf16_run(), at most.
int64_t bf16_thread_floats(const TapSum& sum);

}  // namespace fettle
