// Pictures of any size in overlapping tiles, on plain memory.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace fettle {

struct TileOptions {
  int64_t height = 512, width = 512;  ///< of a tile; rounded up to `multiple`
  int64_t multiple = 16;              ///< what the model's input size must be a multiple of
  int64_t reach = 64;                 ///< how far an output depends on the input around it
};

/// How pictures of that size are cut unless somebody chooses: those above a million pixels into
/// tiles of 512x512 or eight times the reach, whichever is larger; others not at all.
TileOptions usual_tiles(int64_t height, int64_t width, int64_t multiple, int64_t reach);

/// One axis of a tile: where it begins, and the share of each of its places in the result.
struct TileSpan {
  int64_t begin = 0;
  std::vector<float> share;
  int64_t size() const { return static_cast<int64_t>(share.size()); }
};

/// How a picture of [H,W] is cut. Tiles overlap by twice the reach and a ramp, over which
/// neighbours are blended; what lies within the reach of a cut counts nothing. All of them have one
/// size.
struct Tiling {
  std::vector<TileSpan> rows, columns;
  int64_t height() const { return rows[0].size(); }
  int64_t width() const { return columns[0].size(); }
};

/// Throws ArgumentError when tiles are too small for the reach, whether a picture is cut or not.
void check_reach(const TileOptions& options);

/// Throws ArgumentError when the picture is cut into tiles that are too small for the reach.
Tiling tiling(int64_t H, int64_t W, const TileOptions& options);

/// Place i of an axis that goes on as its mirror image, the edge repeated.
inline int64_t mirrored(int64_t i, int64_t size) {
  i %= 2 * size;
  return i < size ? i : 2 * size - 1 - i;
}

/// to [h,w,C] = what of a picture [H,W,C] lies under a tile, each number through `convert`. Beyond
/// the picture lies its mirror image.
template <class T, class Convert>
void cut_tile(const T* picture, int64_t H, int64_t W, int64_t C, const TileSpan& rows,
              const TileSpan& columns, const Convert& convert, float* to) {
  for (int64_t i = 0; i < rows.size(); ++i) {
    const T* row = picture + mirrored(rows.begin + i, H) * W * C;
    for (int64_t j = 0; j < columns.size(); ++j)
      to = std::transform(row + mirrored(columns.begin + j, W) * C,
                          row + (mirrored(columns.begin + j, W) + 1) * C, to, convert);
  }
}

/// Adds a tile's result [h,w,K], by its shares, to that of the picture [H,W,K].
void blend_tile(const float* tile, const TileSpan& rows, const TileSpan& columns, int64_t H,
                int64_t W, int64_t K, float* y);

/// x [H,W,K] at another size: bilinear, half-pixel centres, edges repeated.
void resize_bilinear(const float* x, int64_t H, int64_t W, int64_t K, int64_t height, int64_t width,
                     float* y);

}  // namespace fettle
