// The connected regions of a mask.
#pragma once

#include <cstdint>
#include <vector>

#include "io/run_length.h"

namespace fettle {

/// Pixels of a mask that hang together, over sides or corners (8-connected).
struct Region {
  int64_t x, y, width, height;  ///< bounding box in whole pixels: upper left corner and size
  int64_t area;                 ///< pixels of the region, not of its box
  double confidence;            ///< mean probability of the region's pixels
};

/// The regions of at least `min_area` pixels, the largest first; equals go by the corner of their
/// box, from the top, then from the left. Pixel (row, column) has the probability
/// probabilities[(row * mask.width + column) * stride], so that one channel of [H,W,K] is
/// (probabilities + k, K).
std::vector<Region> regions_of(const Mask& mask, const float* probabilities, int64_t stride,
                               int64_t min_area = 1);

/// Clears the regions of fewer than `min_area` pixels.
void remove_small_regions(Mask& mask, int64_t min_area);

}  // namespace fettle
