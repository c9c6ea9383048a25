// Forward convolution on the CPU with weights that stay the same from call to call, as they do when
// a network only predicts: they are put once in the order in which the kernel reads them. Not for
// depthwise convolutions, which read their weights in place.
#pragma once

#include "kernels/conv2d/conv2d.h"
#include "kernels/precision.h"

namespace fettle {

/// Whether this processor multiplies bf16 (AVX512-BF16); if not, bf16 computes what fp32 does.
bool cpu_has_bf16();

/// How many floats the packed weights take; 0 for a depthwise shape.
int64_t conv2d_packed_floats(const Conv2dShape& shape, Precision precision);

/// Packs w [K,R,S,C/groups] for that shape, to whose pictures and batch the order is bound.
void conv2d_pack(const Conv2dShape& shape, Precision precision, const float* w, float* packed);

/// y = epilogue(x * w + bias + addend). bias [K] and addend [N,P,Q,K] may be nullptr; y may be
/// addend.
void conv2d_forward_packed(const Conv2dShape& shape, Precision precision, const float* x,
                           const float* packed, const float* bias, const float* addend,
                           Epilogue epilogue, float* y);

/// The ways to compute a convolution on the CPU, each in a file of its name.
enum class Conv2dWay { direct, winograd, bf16, depthwise };

/// Working memory of a forward convolution, in floats at most. Calls one after another share it.
struct Conv2dMemory {
  Conv2dWay way;   ///< each has memory of its own
  int64_t caller;  ///< of the thread that calls
  int64_t thread;  ///< of every thread that works
};

/// With packed weights; without, the caller's includes room for them, and all is fp32.
Conv2dMemory conv2d_memory(const Conv2dShape& shape, Precision precision, bool packed);

}  // namespace fettle
