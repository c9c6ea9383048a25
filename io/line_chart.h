// Curves as a picture that scales (SVG).
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace fettle {

/// What an axis shows.
struct ChartAxis {
  std::string label;
  double least = 0, most = 1;
  bool whole = false;  ///< ticks at whole numbers only
};

/// An axis from 0, or the least of the values where all of them lie far from it, to the largest,
/// both rounded to a tick. Values that are no finite numbers are left out.
ChartAxis axis_over(const std::string& label, const std::vector<double>& values);

struct ChartLine {
  std::string name;
  std::vector<std::pair<double, double>> points;
  bool dots = false;               ///< at each of the points
  std::vector<double> radii = {};  ///< dots of these radii, in pixels, instead of a line
};

/// A place to look at: a ring at (x, y).
struct ChartMark {
  std::string name;
  double x = 0, y = 0;
};

struct Chart {
  std::string title;
  ChartAxis x, y;
  std::vector<ChartLine> lines;
  std::vector<ChartMark> marks = {};
  /// Upright dotted lines: a name and an x.
  std::vector<std::pair<std::string, double>> rules = {};
  bool diagonal = false;  ///< from corner to corner, dashed, for comparison
};

/// The chart with ticks, axis labels and a legend under it, as the text of an SVG file. Lines have
/// the colours of io/overlay.h and dashes of their own, so that they can be told apart without
/// colours; a line is interrupted where a point is no finite number. What a page may style has
/// classes: paper, grid, title, line0 to line6, rule, mark, diagonal.
std::string line_chart(const Chart& chart);

}  // namespace fettle
