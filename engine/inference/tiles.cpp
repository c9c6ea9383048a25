#include "engine/inference/tiles.h"

#include "engine/argument_error.h"
#include "kernels/divide.h"
#include "kernels/parallel.h"

namespace fettle {
namespace {

/// How far one tile of that size begins after the other.
int64_t step_of(int64_t tile, int64_t multiple, int64_t reach) {
  const int64_t overlap = round_up(2 * reach + multiple, multiple);
  require_argument(tile > overlap, "tiles of ", tile,
                   " pixels are too small for a model that looks ", reach,
                   " pixels far; take at least ", overlap + multiple);
  return tile - overlap;
}

/// Covers [0, size) with tiles of `tile`, both multiples of `multiple`.
std::vector<TileSpan> spans(int64_t size, int64_t tile, int64_t multiple, int64_t reach) {
  if (size <= tile) return {{0, std::vector<float>(static_cast<size_t>(size), 1.0f)}};
  const int64_t ramp = multiple, step = step_of(tile, multiple, reach);
  std::vector<TileSpan> all;
  std::vector<float> sum(static_cast<size_t>(size));
  for (int64_t begin = 0;; begin = std::min(begin + step, size - tile)) {
    TileSpan span{begin, {}};
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
  for (TileSpan& span : all)
    for (size_t i = 0; i < span.share.size(); ++i)
      span.share[i] /= sum[static_cast<size_t>(span.begin) + i];
  return all;
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

TileOptions usual_tiles(int64_t height, int64_t width, int64_t multiple, int64_t reach) {
  constexpr int64_t small = int64_t{1} << 20;
  const int64_t usual = std::max<int64_t>(512, 8 * reach);
  const bool whole = height * width <= small;
  return {.height = whole ? std::max(usual, height) : usual,
          .width = whole ? std::max(usual, width) : usual,
          .multiple = multiple,
          .reach = reach};
}

void check_reach(const TileOptions& o) {
  for (const int64_t tile : {o.height, o.width})
    step_of(round_up(tile, o.multiple), o.multiple, o.reach);
}

Tiling tiling(int64_t H, int64_t W, const TileOptions& o) {
  const auto cover = [&](int64_t size, int64_t tile) {
    return spans(round_up(size, o.multiple), round_up(tile, o.multiple), o.multiple, o.reach);
  };
  return {cover(H, o.height), cover(W, o.width)};
}

void blend_tile(const float* tile, const TileSpan& rows, const TileSpan& columns, int64_t H,
                int64_t W, int64_t K, float* y) {
  const int64_t h = rows.size(), w = columns.size();
  for (int64_t i = 0; i < std::min(h, H - rows.begin); ++i) {
    for (int64_t j = 0; j < std::min(w, W - columns.begin); ++j) {
      const float share =
          rows.share[static_cast<size_t>(i)] * columns.share[static_cast<size_t>(j)];
      const float* from = tile + (i * w + j) * K;
      float* to = y + ((rows.begin + i) * W + columns.begin + j) * K;
      for (int64_t k = 0; k < K; ++k) to[k] += share * from[k];
    }
  }
}

void resize_bilinear(const float* x, int64_t H, int64_t W, int64_t K, int64_t height, int64_t width,
                     float* y) {
  const std::vector<Tap> rows = taps(H, height), columns = taps(W, width);
  parallel_for(height, 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Tap& row = rows[static_cast<size_t>(i)];
      const float* above = x + row.first * W * K;
      const float* below = x + row.second * W * K;
      float* to = y + i * width * K;
      for (const Tap& column : columns) {
        for (int64_t k = 0; k < K; ++k) {
          const int64_t left = column.first * K + k, right = column.second * K + k;
          const float upper = above[left] + column.weight * (above[right] - above[left]);
          const float lower = below[left] + column.weight * (below[right] - below[left]);
          *to++ = upper + row.weight * (lower - upper);
        }
      }
    }
  });
}

}  // namespace fettle
