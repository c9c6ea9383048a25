// Curves as a picture that scales (SVG).
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace fettle {

struct ChartLine {
  std::string name;
  std::vector<std::pair<double, double>> points;  ///< x and y, 0 to 1
};

/// A chart of lines over the unit square with ticks, axis labels and a legend, in the colours of
/// io/overlay.h, as the text of an SVG file. `diagonal` draws y = x, dashed, for comparison.
std::string line_chart(const std::string& title, const std::string& x_label,
                       const std::string& y_label, const std::vector<ChartLine>& lines,
                       bool diagonal = false);

}  // namespace fettle
