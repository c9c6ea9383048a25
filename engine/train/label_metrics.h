// Figures of a classifier that gives several labels a picture, each a sigmoid of its own.
#pragma once

#include "engine/train/calibration.h"
#include "engine/train/classification_report.h"
#include "engine/train/mask_metrics.h"

namespace fettle {

/// Of each picture whether it has each of the labels, 0 or 1.
using LabelRows = std::vector<std::vector<uint8_t>>;

/// What scikit-learn's classification_report says of several labels a picture. A ratio whose
/// denominator is 0 is 0.
struct LabelReport {
  std::vector<ClassMetrics> labels;  ///< precision, recall, f1 and support; auc stays 0
  double accuracy = 0;               ///< of all the answers yes or no, how many are right
  double exact_match = 0;            ///< pictures all of whose labels are right: accuracy_score
  ClassAverages micro;               ///< every label of every picture counts the same
  ClassAverages macro;               ///< every label counts the same
  ClassAverages weighted;            ///< every label counts by its pictures
  ClassAverages samples;             ///< the means over the pictures
};

/// The report of labels counted one by one; exact_match and samples, which ask for whole pictures,
/// stay 0.
LabelReport label_report(const std::vector<MaskCounts>& counts);

/// The report of pictures that have a label where its probability reaches the threshold. Throws
/// Error without pictures and where the rows do not fit.
LabelReport label_report(const ScoreRows& probabilities, const LabelRows& truth, double threshold);

/// Logits [N,labels] against targets f32 [N,labels] of 0 and 1; a label is predicted from
/// probability 0.5 on. What is gathered are counts, so memory does not grow with the pictures.
class LabelMetricsCounter : public MetricsCounter {
 public:
  explicit LabelMetricsCounter(std::vector<std::string> names) : counts_(std::move(names)) {}

  void add(const Tensor& logits, const Tensor& targets, double loss) override {
    counts_.add(logits, targets, loss);
  }
  /// loss, accuracy, precision, recall and f1 as micro_NAME and macro_NAME, auc, and precision,
  /// recall, f1 and auc of each label as LABEL_NAME.
  EpochLog figures() const override;
  std::pair<std::string, double> headline() const override;

  double loss() const { return counts_.loss(); }
  LabelReport report() const { return label_report(counts_.counts()); }
  /// The areas under the labels' ROC curves by trapezoids over MaskMetricsCounter's thresholds; 0
  /// where no picture or every one has the label.
  std::vector<double> areas() const;
  /// The mean of the areas over the labels that some pictures have and some have not; 0 without.
  double auc() const;

 private:
  MaskMetricsCounter counts_;  // a label is a mask of one pixel
};

/// Logits [N,K] as probabilities, each a sigmoid of its own; rows of the result are pictures.
ScoreRows label_probabilities_of(const Tensor& logits);

}  // namespace fettle
