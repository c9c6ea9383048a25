// Enlarging pictures by whole factors. The equations are in kernels/upsample2d/upsample2d.h.
#pragma once

#include <array>

#include "engine/tensor.h"
#include "kernels/upsample2d/upsample2d.h"

namespace fettle {

/// [N,H,W,C] to [N, H*size[0], W*size[1], C].
Tensor upsample2d(const Tensor& x, std::array<int64_t, 2> size = {2, 2},
                  Upsampling interpolation = Upsampling::nearest);

}  // namespace fettle
