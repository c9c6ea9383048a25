// Drawing sheets of steel, good and defective, from random numbers alone: what Severstal's pictures
// show, with masks that are exact.
#pragma once

#include <array>
#include <cstdint>

#include "io/picture.h"
#include "io/run_length.h"
#include "kernels/philox.h"

namespace fettle {

/// How many kinds of defects Severstal knows. The numbers of its table begin at 1, indices here
/// at 0: clusters of pits, narrow upright cracks, long scratches and scuffs along the rolling
/// direction, large patches of rough scale.
constexpr int steel_kinds = 4;

/// By how many grey levels, before the sensor's noise, a defect changes a pixel for it to belong to
/// its mask.
constexpr float steel_visible_change = 8;

struct SteelPicture {
  Picture picture;                      ///< grey
  std::array<Mask, steel_kinds> masks;  ///< empty (all 0) for a kind that the sheet does not have
};

/// Throws Error unless sheets of this size can be drawn: at least 32 pixels high, no less wide than
/// high, at most 8192 wide.
void check_steel_size(int64_t height, int64_t width);

/// Draws the sheet of this key with the defects of these kinds, one or several of a kind. The
/// rolling direction is the picture's width. Light, texture, noise, roller marks, stains, specks
/// and, on some sheets, a dark border without steel are those of the key, whatever the kinds, and
/// no kind's mask overlaps another's. All sizes grow with the height. Throws Error as
/// check_steel_size().
SteelPicture draw_steel(RandomKey key, int height, int width,
                        const std::array<bool, steel_kinds>& kinds);

}  // namespace fettle
