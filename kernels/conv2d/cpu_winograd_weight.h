// The gradient of a 3x3 convolution's weight by Winograd's minimal filtering F(3x3,4x4): a tile of
// dy of 4x4 pixels acts as the filter over the 6x6 pixels of x under it, and their product at 36
// points holds what it adds to the 3x3 weights. The points of all tiles are summed before the way
// back:
//
//   dw = A^T [ sum over tiles of (G dy G^T) * (B^T x B) ] A        (* is an outer product over k,
//   c)
//
// See cpu_winograd.h for the source and the points, which are the same.
#pragma once

#include "kernels/conv2d/tap_sum.h"

namespace fettle {

/// Whether it pays for the forward sum whose weights' gradient is asked for.
bool winograd_weight_wins(const TapSum& forward);

/// conv2d_backward_weight of one group, whose forward sum is given.
void winograd_backward_weight(const Conv2dShape& shape, const Group& group, const TapSum& forward,
                              const float* dy, float* dw);

}  // namespace fettle
