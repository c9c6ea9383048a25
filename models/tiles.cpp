#include "models/tiles.h"

#include <functional>

#include "engine/autograd.h"

namespace fettle {

Tensor apply_in_tiles(const ModelFunction& model, const Tensor& x, Device device,
                      const TileOptions& options) {
  const NoGrad no_grad;
  require(x.shape().rank() == 4 && x.shape()[0] == 1, "apply_in_tiles: takes one picture, not ",
          x.shape());
  const int64_t H = x.shape()[1], W = x.shape()[2], C = x.shape()[3];
  const Tiling tiles = tiling(H, W, options);
  const int64_t h = tiles.height(), w = tiles.width();
  Tensor y;
  for (const TileSpan& rows : tiles.rows) {
    for (const TileSpan& columns : tiles.columns) {
      Tensor tile = Tensor::empty({1, h, w, C});
      cut_tile(x.data(), H, W, C, rows, columns, std::identity(), tile.data());
      const Tensor out = model(tile.to(device)).to(Device::cpu());
      const int64_t K = out.shape()[-1];
      require(out.shape() == Shape{1, h, w, K}, "apply_in_tiles: the model makes ", out.shape(),
              " of ", tile.shape(), "; height and width must stay");
      if (!y.defined()) y = Tensor::zeros({1, H, W, K});
      blend_tile(out.data(), rows, columns, H, W, K, y.data());
    }
  }
  return y;
}

Tensor resize_bilinear(const Tensor& x, int64_t height, int64_t width) {
  const int64_t H = x.shape()[1], W = x.shape()[2], K = x.shape()[3];
  if (H == height && W == width) return x;
  Tensor y = Tensor::empty({1, height, width, K});
  resize_bilinear(x.data(), H, W, K, height, width, y.data());
  return y;
}

}  // namespace fettle
