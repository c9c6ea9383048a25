// What a classifier's probabilities of one class are worth at every threshold.
#pragma once

#include <vector>

namespace fettle {

/// Pictures whose probability reaches a threshold count as positive; the thresholds are the
/// probabilities that occur, falling.
struct Curves {
  struct Point {
    double threshold;
    double true_positive_rate;   ///< found positives of all positives: the recall
    double false_positive_rate;  ///< false alarms of all negatives
    double precision;            ///< found positives of all that count as positive
  };
  std::vector<Point> points;
  /// The area under the ROC curve (false by true positive rate), from (0, 0) on, by trapezoids.
  double roc_auc = 0;
  /// The sum over the points of (recall - recall before) * precision, scikit-learn's
  /// average_precision_score: no line is drawn between points, which would flatter.
  double average_precision = 0;
};

/// The curves of one class. Where there are no positives or no negatives, a rate of them is 0, and
/// so are both areas. Throws Error when there is not a probability a picture.
Curves curves_of(const std::vector<float>& probabilities, const std::vector<bool>& positive);

}  // namespace fettle
