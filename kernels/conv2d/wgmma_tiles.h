// The tiles of rung 6, for the plan and for the kernels.
#pragma once

namespace fettle {

/// Rows (pixels, or filters of backward weight) and columns (channels) of a tile of the result; the
/// stages of its ring, as many as shared memory holds beside 32 KiB; the bytes of a line of
/// channels, less than 128 where there are few, and how many of them a stage has for each row.
struct WgmmaTileExtents {
  int rows, columns, stages, line_bytes, pieces;
};
/// Conv2dPlan::tile counts them.
inline constexpr WgmmaTileExtents wgmma_tiles[] = {
    {64, 64, 12, 128, 1},
    {128, 64, 8, 128, 1},
    {192, 64, 6, 128, 1},
    {256, 64, 4, 128, 1},
    {128, 128, 6, 128, 1},
    {192, 128, 4, 128, 1},
    {256, 128, 4, 128, 1},
    // Of narrow lines those of 64 rows are of backward weight, the last one of the others: with
    // three pieces, 3x3 taps fill whole stages. Fewer channels than 32 gain nothing there, as the
    // copy engine takes as long for a line of 32 bytes as for one of 128.
    {64, 64, 12, 32, 4},
    {64, 64, 12, 64, 2},
    {256, 64, 3, 64, 3},
};
inline constexpr int wgmma_tile_count = sizeof(wgmma_tiles) / sizeof(wgmma_tiles[0]);

/// Which tiles there are kernels of. `size` is that of an element: tf32 has whole lines alone.
constexpr bool has_wgmma_tile(int tile, bool backward_weight, int size) {
  const WgmmaTileExtents& t = wgmma_tiles[tile];
  return t.line_bytes == 128 || (size == 2 && (t.rows == 64) == backward_weight);
}

}  // namespace fettle
