// A 3x3 convolution with stride 1 in a quarter of the multiplications: Winograd's minimal filtering
// F(4x4,3x3), on the CPU.
//
// A tile of 4x4 outputs needs 6x6 inputs d. With the small constant matrices A, B and G,
//
//   y = A^T [ sum over c of (G w_c G^T) * (B^T d_c B) ] A        (* is elementwise)
//
// so that each of the 36 points is a matrix product of tiles by channels, 36 multiplications for 16
// outputs in place of 144. The sums are other ones than those of the definition: their error is
// about ten times that of the direct way, which is still below 1e-5 of the result's norm.
//
// Lavin, Gray: "Fast algorithms for convolutional neural networks", arXiv 1509.09308.
#pragma once

#include <cstdint>

#include "kernels/conv2d/tap_sum.h"

namespace fettle {

inline constexpr int64_t winograd_points = 36;

/// The output as tiles of 4x4 in raster order over all pictures.
struct TileGrid {
  int64_t down, across;
  int64_t count(int64_t pictures) const { return pictures * down * across; }
};

inline TileGrid tile_grid_of(const TapSum& sum) {
  return {ceil_div(sum.P, 4), ceil_div(sum.Q, 4)};
}

/// Whether the sum is a 3x3 convolution with stride 1, of channels enough to fill vectors.
inline bool suits_winograd(const TapSum& sum) {
  const Window window = window_of(sum.taps);
  return sum.taps.size() == 9 && window.h == 3 && window.w == 3 && sum.step_h == 1 &&
         sum.step_w == 1 && sum.C >= 16 && sum.K >= 16;
}

/// Whether the sum is a 3x3 convolution with stride 1 large enough for the way to pay.
bool winograd_wins(const TapSum& sum);

/// How many floats the transformed weights take, and the transformation.
int64_t winograd_packed_floats(const TapSum& sum);
void winograd_pack(const TapSum& sum, float* packed);

/// Computes sum.out with weights that winograd_pack() has transformed.
void winograd_run(const TapSum& sum, const float* packed);

/// Both, for weights that are not used again.
void winograd_pack_and_run(const TapSum& sum);

/// Working memory of winograd_run() at most: of the thread that calls it, and of every one that
/// works.
int64_t winograd_caller_floats(const TapSum& sum);
int64_t winograd_thread_floats(const TapSum& sum);

}  // namespace fettle
