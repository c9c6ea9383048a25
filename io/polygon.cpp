#include "io/polygon.h"

#include <algorithm>
#include <cmath>

#include "engine/error.h"

namespace fettle {
namespace {

/// The columns where the row crosses the outline, rising. An edge owns its upper end only, so that
/// a corner counts once.
std::vector<double> crossings(const std::vector<Point>& polygon, double row) {
  std::vector<double> columns;
  for (size_t i = 0; i < polygon.size(); ++i) {
    const Point &a = polygon[i], &b = polygon[(i + 1) % polygon.size()];
    if ((a.y <= row) == (b.y <= row)) continue;
    columns.push_back(a.x + (row - a.y) / (b.y - a.y) * (b.x - a.x));
  }
  std::sort(columns.begin(), columns.end());
  return columns;
}

void draw_line(const Point& a, const Point& b, Mask& mask) {
  const double steps =
      std::max({std::ceil(std::abs(b.x - a.x)), std::ceil(std::abs(b.y - a.y)), 1.0});
  for (double i = 0; i <= steps; ++i) {
    const double x = std::round(a.x + (b.x - a.x) * i / steps);
    const double y = std::round(a.y + (b.y - a.y) * i / steps);
    if (x < 0 || y < 0 || x >= static_cast<double>(mask.width) ||
        y >= static_cast<double>(mask.height)) {
      continue;
    }
    mask.at(static_cast<int64_t>(y), static_cast<int64_t>(x)) = 1;
  }
}

}  // namespace

void fill_polygon(const std::vector<Point>& polygon, Mask& mask) {
  require(polygon.size() >= 3, "a polygon has ", polygon.size(), " points; it needs three");
  const auto width = static_cast<double>(mask.width), height = static_cast<double>(mask.height);
  Point low = polygon[0], high = polygon[0];
  constexpr double limit = 1e6;  // pixels; keeps the walk along an edge short
  for (const Point& p : polygon) {
    require(std::abs(p.x) <= limit && std::abs(p.y) <= limit, "a polygon has the point (", p.x,
            ", ", p.y, "), which no picture reaches");
    low = {std::min(low.x, p.x), std::min(low.y, p.y)};
    high = {std::max(high.x, p.x), std::max(high.y, p.y)};
  }
  require(high.x > -0.5 && high.y > -0.5 && low.x < width - 0.5 && low.y < height - 0.5,
          "a polygon from (", low.x, ", ", low.y, ") to (", high.x, ", ", high.y,
          ") lies outside the picture of ", mask.height, "x", mask.width, " pixels");
  const auto first = static_cast<int64_t>(std::max(0.0, std::ceil(low.y)));
  const auto last = static_cast<int64_t>(std::min(height - 1, std::floor(high.y)));
  for (int64_t row = first; row <= last; ++row) {
    const std::vector<double> columns = crossings(polygon, static_cast<double>(row));
    for (size_t i = 0; i + 1 < columns.size(); i += 2) {
      const double from = std::max(0.0, std::ceil(columns[i]));
      const double to = std::min(width - 1, std::floor(columns[i + 1]));
      for (double x = from; x <= to; ++x) mask.at(row, static_cast<int64_t>(x)) = 1;
    }
  }
  for (size_t i = 0; i < polygon.size(); ++i) {
    draw_line(polygon[i], polygon[(i + 1) % polygon.size()], mask);
  }
}

}  // namespace fettle
