// The tiles of rung 6, for the plan and for the kernels.
#pragma once

namespace fettle {

/// Rows (pixels, or filters of backward weight) and columns (channels) of a tile of the result, and
/// the stages of its ring: as many as shared memory holds beside 32 KiB. Conv2dPlan::tile counts
/// them.
struct WgmmaTileExtents {
  int rows, columns, stages;
};
inline constexpr WgmmaTileExtents wgmma_tiles[] = {
    {64, 64, 12}, {128, 64, 8}, {192, 64, 6}, {256, 64, 4}, {128, 128, 6}, {192, 128, 4},
    {256, 128, 4},
};
inline constexpr int wgmma_tile_count = sizeof(wgmma_tiles) / sizeof(wgmma_tiles[0]);

}  // namespace fettle
