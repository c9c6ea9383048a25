// Masks as drawings that scale.
#pragma once

#include <string>

#include "io/run_length.h"

namespace fettle {

/// The mask made smaller, to `height` rows of `width`: a pixel is set where any of those that it
/// stands for is, so that a small defect is never lost. Throws Error for a larger size.
Mask shrunk(const Mask& mask, int64_t height, int64_t width);

/// The border of a mask along the edges of its pixels, as the `d` of an SVG path in pixels of the
/// mask: one closed line around each region and each hole. Empty for an empty mask.
std::string outline_path(const Mask& mask);

}  // namespace fettle
