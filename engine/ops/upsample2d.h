// Enlarging pictures by whole factors. The equations are in kernels/upsample2d/upsample2d.h.
#pragma once

#include <array>

#include "engine/tensor.h"
#include "kernels/upsample2d/upsample2d.h"

namespace fettle {

/// An enlarged tensor that nobody has read yet.
struct PendingUpsample2d : Pending {
  PendingUpsample2d(const Tensor& x, const Upsample2dShape& shape, Upsampling interpolation)
      : x(x), shape(shape), interpolation(interpolation) {}
  Tensor compute() const override;

  Tensor x;
  Upsample2dShape shape;
  Upsampling interpolation;
};

/// x itself where it is such a tensor, else nullptr.
std::shared_ptr<const PendingUpsample2d> pending_upsample2d(const Tensor& x);

/// [N,H,W,C] to [N, H*size[0], W*size[1], C]. The result stays pending (Tensor::deferred):
/// concatenate() enlarges x right into its own, and reads the gradient there. What treats each
/// pixel by itself, as a 1x1 convolution or a sum, does it to x, for a fraction of the pixels, and
/// what it returns is pending, too.
Tensor upsample2d(const Tensor& x, std::array<int64_t, 2> size = {2, 2},
                  Upsampling interpolation = Upsampling::nearest);

/// Another tensor of the size of pending.x, enlarged as that one.
Tensor upsample2d_as(const PendingUpsample2d& pending, const Tensor& x);

}  // namespace fettle
