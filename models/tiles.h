// Pictures of any size through a fully convolutional model, in overlapping tiles.
#pragma once

#include "engine/inference/tiles.h"
#include "engine/train/fit.h"

namespace fettle {

/// What `model`, which maps [1,h,w,C] to [1,h,w,K], gives for a picture x [1,H,W,C] of any size on
/// the host; [1,H,W,K] on the host.
///
/// The picture is extended by its mirror image to a multiple, and cut into tiles that overlap by
/// twice the reach and a ramp, over which neighbours are blended. What lies within the reach of a
/// cut counts nothing, so the result is that of the whole picture, up to rounding, for a model
/// whose output depends on no more than the reach (with batch-norm's moving statistics). Memory
/// beside x and the result is that of one tile. Throws ArgumentError when the tiles are too small
/// for that.
Tensor apply_in_tiles(const ModelFunction& model, const Tensor& x, Device device,
                      const TileOptions& options);

/// x [1,H,W,K] on the host at another size: bilinear, half-pixel centres, edges repeated.
Tensor resize_bilinear(const Tensor& x, int64_t height, int64_t width);

}  // namespace fettle
