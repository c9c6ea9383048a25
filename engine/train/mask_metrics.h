// Figures of predicted masks, counted over all pixels of a data set.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/train/metrics.h"

namespace fettle {

/// Pixels of one kind at one threshold.
struct MaskCounts {
  int64_t true_positives = 0, false_positives = 0, false_negatives = 0, true_negatives = 0;

  MaskCounts& operator+=(const MaskCounts& other);
  /// Of the predicted pixels, how many are right. Like every figure here it is 1 where there was
  /// nothing to find and nothing was found, and 0 where else the denominator is 0.
  double precision() const;
  double recall() const;  ///< of the true pixels, how many were found
  double dice() const;    ///< 2 TP / (2 TP + FP + FN), the F1 of the pixels
  double iou() const;     ///< TP / (TP + FP + FN), Jaccard
  /// TP / (TP + 0.7 FN + 0.3 FP): Abraham and Khan's weights, arXiv 1810.07842.
  double tversky() const;
  double accuracy() const;

 private:
  double ratio(double part, double whole) const;
};

/// Masks [N,H,W,kinds] against logits of that shape, each kind a sigmoid of its own.
///
/// Counts for its threshold and for every one in steps of 1 / bins at once, so that one can be
/// chosen afterwards.
/// A figure "of all" is the mean over the kinds that occur in the targets or the prediction (1 when
/// none does): a kind that neither has says nothing.
class MaskMetricsCounter : public MetricsCounter {
 public:
  static constexpr int64_t bins = 200;

  explicit MaskMetricsCounter(std::vector<std::string> kinds, double threshold = 0.5);

  void add(const Tensor& logits, const Tensor& masks, double loss) override;
  /// Adds probabilities [...,kinds] with their masks, without a loss.
  void add_probabilities(const Tensor& probabilities, const Tensor& masks);
  /// loss, accuracy, precision, recall, dice, iou and tversky of all, then NAME_dice of each kind.
  EpochLog figures() const override;
  std::pair<std::string, double> headline() const override;

  const std::vector<std::string>& kinds() const { return kinds_; }
  double threshold() const { return threshold_; }
  double loss() const;
  /// The counts of each kind with pixels from threshold() on predicted.
  std::vector<MaskCounts> counts() const;
  /// The same from step / bins on, for each step from 0 to bins.
  std::vector<std::vector<MaskCounts>> counts_of_steps() const;

 private:
  static constexpr int64_t cells = bins + 1;
  /// For each cell, and for none at the end, the counts with its pixels and those of the cells
  /// after it predicted.
  std::vector<std::vector<MaskCounts>> counts_of_cells() const;
  void drain();

  std::vector<std::string> kinds_;
  double threshold_;
  int64_t pictures_ = 0, pending_ = 0;
  double loss_sum_ = 0;
  Tensor recent_;               // on the logits' device, [kinds,2,cells] of i32
  std::vector<int64_t> total_;  // what was taken from there before it could overflow
};

/// A kind's or label's name in figures and history.csv, where blanks, commas and "=" separate.
std::string figure_name(std::string kind);

/// The mean of a figure over the kinds that occur; 1 when none does.
double mean_over_kinds(const std::vector<MaskCounts>& counts, double (MaskCounts::*figure)() const);

}  // namespace fettle
