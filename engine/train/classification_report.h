// The figures of each class and their means, as scikit-learn's classification_report gives them.
#pragma once

#include "engine/train/metrics.h"

namespace fettle {

struct ClassAverages {
  double precision = 0, recall = 0, f1 = 0;
};

struct ClassificationReport {
  std::vector<ClassMetrics> classes;  ///< precision, recall, f1 and support; auc stays 0
  double accuracy = 0;
  ClassAverages macro;     ///< every class counts the same
  ClassAverages weighted;  ///< every picture counts the same
};

/// The report of predictions counted by [true class][predicted class]. A ratio whose denominator is
/// 0 is 0.
ClassificationReport classification_report(const std::vector<std::vector<int64_t>>& confusion);

}  // namespace fettle
