// A classifier's curves as lines of charts, and as files.
#pragma once

#include <string>
#include <vector>

#include "engine/train/curves.h"
#include "io/line_chart.h"

namespace fettle {

/// The curves of one class, with its name and the areas under them.
struct ChartLines {
  ChartLine roc, precision_recall;
};
ChartLines chart_lines(const std::string& class_name, const Curves& curves);

/// Writes roc_curve.csv (class, threshold, false_positive_rate, true_positive_rate),
/// precision_recall_curve.csv (class, threshold, precision, recall), and both as .svg, with a line
/// a class.
void write_curves(const std::string& folder, const std::vector<std::string>& class_names,
                  const std::vector<Curves>& curves);

}  // namespace fettle
