// A classifier's curves as files.
#pragma once

#include <string>
#include <vector>

#include "engine/train/curves.h"

namespace fettle {

/// Writes roc_curve.csv (class, threshold, false_positive_rate, true_positive_rate),
/// precision_recall_curve.csv (class, threshold, precision, recall), and both as .svg, with a line
/// a class.
void write_curves(const std::string& folder, const std::vector<std::string>& class_names,
                  const std::vector<Curves>& curves);

}  // namespace fettle
