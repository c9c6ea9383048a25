#include "models/tiles.h"

#include <algorithm>
#include <vector>

#include "engine/autograd.h"
#include "kernels/parallel.h"

namespace fettle {
namespace {

int64_t round_up(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

/// One axis of a tile: where it begins, and the share of each of its places in the result.
struct Span {
  int64_t begin = 0;
  std::vector<float> share;
};

/// Covers [0, size) with tiles of `tile`, both multiples of `multiple`.
std::vector<Span> spans(int64_t size, int64_t tile, int64_t multiple, int64_t reach) {
  if (size <= tile) return {{0, std::vector<float>(static_cast<size_t>(size), 1.0f)}};
  const int64_t ramp = multiple, step = tile - round_up(2 * reach + ramp, multiple);
  require(step > 0, "tiles of ", tile, " pixels are too small for a model that looks ", reach,
          " pixels far; take at least ", tile - step + multiple);
  std::vector<Span> all;
  std::vector<float> sum(static_cast<size_t>(size));
  for (int64_t begin = 0;; begin = std::min(begin + step, size - tile)) {
    Span span{begin, {}};
    for (int64_t i = 0; i < tile; ++i) {
      const int64_t before = begin == 0 ? size : i;
      const int64_t after = begin + tile == size ? size : tile - 1 - i;
      const auto inside = static_cast<float>(std::min(before, after) - reach + 1);
      span.share.push_back(std::clamp(inside / static_cast<float>(ramp + 1), 0.0f, 1.0f));
      sum[static_cast<size_t>(begin + i)] += span.share.back();
    }
    all.push_back(std::move(span));
    if (begin + tile == size) break;
  }
  for (Span& span : all)
    for (size_t i = 0; i < span.share.size(); ++i)
      span.share[i] /= sum[static_cast<size_t>(span.begin) + i];
  return all;
}

/// Place i of an axis that goes on as its mirror image, the edge repeated.
int64_t mirrored(int64_t i, int64_t size) {
  i %= 2 * size;
  return i < size ? i : 2 * size - 1 - i;
}

/// An output's two neighbours on an axis, and the share of the second.
struct Tap {
  int64_t first = 0, second = 0;
  float weight = 0;
};

std::vector<Tap> taps(int64_t from, int64_t to) {
  std::vector<Tap> all;
  for (int64_t i = 0; i < to; ++i) {
    const double centre =
        (static_cast<double>(i) + 0.5) * static_cast<double>(from) / static_cast<double>(to) - 0.5;
    const double place = std::clamp(centre, 0.0, static_cast<double>(from - 1));
    const auto first = static_cast<int64_t>(place);
    all.push_back({first, std::min(first + 1, from - 1),
                   static_cast<float>(place - static_cast<double>(first))});
  }
  return all;
}

}  // namespace

Tensor apply_in_tiles(const ModelFunction& model, const Tensor& x, Device device,
                      const TileOptions& o) {
  const NoGrad no_grad;
  require(x.shape().rank() == 4 && x.shape()[0] == 1, "apply_in_tiles: takes one picture, not ",
          x.shape());
  const int64_t H = x.shape()[1], W = x.shape()[2], C = x.shape()[3];
  const auto cover = [&](int64_t size, int64_t tile) {
    return spans(round_up(size, o.multiple), round_up(tile, o.multiple), o.multiple, o.reach);
  };
  Tensor y;
  for (const Span& rows : cover(H, o.height)) {
    for (const Span& columns : cover(W, o.width)) {
      const int64_t h = std::ssize(rows.share), w = std::ssize(columns.share);
      Tensor tile = Tensor::empty({1, h, w, C});
      for (int64_t i = 0; i < h; ++i) {
        const float* row = x.data() + mirrored(rows.begin + i, H) * W * C;
        for (int64_t j = 0; j < w; ++j)
          std::copy_n(row + mirrored(columns.begin + j, W) * C, C, tile.data() + (i * w + j) * C);
      }
      const Tensor out = model(tile.to(device)).to(Device::cpu());
      const int64_t K = out.shape()[-1];
      require(out.shape() == Shape{1, h, w, K}, "apply_in_tiles: the model makes ", out.shape(),
              " of ", tile.shape(), "; height and width must stay");
      if (!y.defined()) y = Tensor::zeros({1, H, W, K});
      for (int64_t i = 0; i < std::min(h, H - rows.begin); ++i) {
        for (int64_t j = 0; j < std::min(w, W - columns.begin); ++j) {
          const float share = rows.share[i] * columns.share[j];
          const float* from = out.data() + (i * w + j) * K;
          float* to = y.data() + ((rows.begin + i) * W + columns.begin + j) * K;
          for (int64_t k = 0; k < K; ++k) to[k] += share * from[k];
        }
      }
    }
  }
  return y;
}

Tensor resize_bilinear(const Tensor& x, int64_t height, int64_t width) {
  const int64_t H = x.shape()[1], W = x.shape()[2], K = x.shape()[3];
  if (H == height && W == width) return x;
  const std::vector<Tap> rows = taps(H, height), columns = taps(W, width);
  Tensor y = Tensor::empty({1, height, width, K});
  parallel_for(height, 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float* above = x.data() + rows[i].first * W * K;
      const float* below = x.data() + rows[i].second * W * K;
      float* to = y.data<float>() + i * width * K;
      for (const Tap& column : columns) {
        for (int64_t k = 0; k < K; ++k) {
          const int64_t left = column.first * K + k, right = column.second * K + k;
          const float upper = above[left] + column.weight * (above[right] - above[left]);
          const float lower = below[left] + column.weight * (below[right] - below[left]);
          *to++ = upper + rows[i].weight * (lower - upper);
        }
      }
    }
  });
  return y;
}

}  // namespace fettle
