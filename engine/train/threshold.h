// Choosing the probability from which something counts as a defect.
#pragma once

#include <vector>

#include "engine/train/mask_metrics.h"

namespace fettle {

/// What the threshold is to reach.
struct ThresholdGoal {
  double recall = 0;  ///< at least this recall with the fewest false alarms; 0: the best F1
};

struct ThresholdChoice {
  double threshold = 0.5;
  double precision = 0, recall = 0, f1 = 0;
};

/// The threshold for a classifier of two classes, from the probabilities of the second one and
/// whether each picture is of it: predicted from the threshold on. It lies halfway between two
/// probabilities that occurred, or a thousandth below the least. Throws Error when there is no
/// picture of the second class.
ThresholdChoice choose_threshold(const std::vector<float>& probabilities,
                                 const std::vector<bool>& positive, const ThresholdGoal& goal);

/// What each threshold for masks would be worth, in the counter's steps from below 1 to above 0:
/// means over the kinds.
std::vector<ThresholdChoice> threshold_choices(const MaskMetricsCounter& counter);

/// The threshold for masks, in the counter's steps above 0: the best mean Dice (the F1 of pixels),
/// or the highest one whose mean recall reaches the goal. Precision, recall and f1 of the choice
/// are means over the kinds. Throws Error when the goal is not reached by any.
ThresholdChoice choose_threshold(const MaskMetricsCounter& counter, const ThresholdGoal& goal);

}  // namespace fettle
