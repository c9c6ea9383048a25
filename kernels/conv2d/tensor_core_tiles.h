// The tiles of rung 4, for the plan and for the kernels.
#pragma once

namespace fettle {

/// Rows and columns of the result that a block computes, and how its warps share them.
struct TensorCoreTile {
  int rows, columns, warps_down, warps_across;
};
inline constexpr int tensor_core_tile_count = 5;
/// Conv2dPlan::tile counts them: rows of pixels by columns of channels, or, of backward weight,
/// rows of channels by columns of taps and channels. The first takes any channels, the others those
/// that come in fours; the last two are for few.
inline constexpr TensorCoreTile tensor_core_tiles[2][tensor_core_tile_count] = {
    {{64, 32, 4, 2}, {128, 64, 2, 2}, {128, 128, 2, 2}, {256, 16, 4, 1}, {128, 32, 4, 1}},
    {{64, 32, 4, 2}, {64, 128, 2, 4}, {128, 128, 2, 4}, {16, 128, 1, 4}, {32, 128, 1, 4}},
};

}  // namespace fettle
