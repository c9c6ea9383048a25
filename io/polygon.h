// Polygons drawn into masks.
#pragma once

#include <vector>

#include "io/run_length.h"

namespace fettle {

struct Point {
  double x = 0, y = 0;  ///< column and row; whole numbers are the centres of pixels
};

/// Sets the pixels whose centres lie inside the polygon (even-odd rule) or that its outline passes,
/// as annotation programs draw it. What lies outside the mask is cut off. Throws Error for fewer
/// than three points, for a coordinate that is no finite number, and for a polygon that does not
/// touch the mask.
void fill_polygon(const std::vector<Point>& polygon, Mask& mask);

}  // namespace fettle
