// Pooling of [N,H,W,C]. The equations are in kernels/pool2d/pool2d.h.
#pragma once

#include <array>
#include <optional>

#include "engine/tensor.h"
#include "kernels/padding.h"

namespace fettle {

struct Pool2dOptions {
  std::array<int64_t, 2> pool_size = {2, 2};  ///< rows, columns
  std::array<int64_t, 2> strides = {2, 2};
  Padding padding = Padding::valid;
  std::optional<std::array<Pads, 2>> explicit_padding = {};  ///< rows, columns; replaces `padding`
};

/// The largest value of each window. Throws Error when no window fits.
Tensor max_pool2d(const Tensor& x, const Pool2dOptions& options);

/// The mean of each window's pixels inside the picture. Throws Error when no window fits.
Tensor average_pool2d(const Tensor& x, const Pool2dOptions& options);

/// The mean of each channel, [N,C].
Tensor global_average_pool2d(const Tensor& x);

/// The largest value of each channel, [N,C].
Tensor global_max_pool2d(const Tensor& x);

}  // namespace fettle
