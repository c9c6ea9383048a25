// Forward convolution on the CPU with weights that stay the same from call to call, as they do when
// a network only predicts: they are put once in the order in which the kernel reads them. Not for
// depthwise convolutions, which read their weights in place.
#pragma once

#include "kernels/conv2d/conv2d.h"

namespace fettle {

/// How many floats the packed weights take; 0 for a depthwise shape.
int64_t conv2d_packed_floats(const Conv2dShape& shape);

/// Packs w [K,R,S,C/groups] for that shape, to whose pictures and batch the order is bound.
void conv2d_pack(const Conv2dShape& shape, const float* w, float* packed);

/// y = epilogue(x * w + bias + addend). bias [K] and addend [N,P,Q,K] may be nullptr; y may be
/// addend.
void conv2d_forward_packed(const Conv2dShape& shape, const float* x, const float* packed,
                           const float* bias, const float* addend, Epilogue epilogue, float* y);

}  // namespace fettle
