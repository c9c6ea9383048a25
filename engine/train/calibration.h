// Whether a classifier's probabilities are to be believed: of the pictures that it calls defective
// with 0.9, are nine of ten defective? Guo et al., "On calibration of modern neural networks", ICML
// 2017.
#pragma once

#include <cstdint>
#include <vector>

namespace fettle {

/// ScoreRows of numbers, one a class.
using ScoreRows = std::vector<std::vector<float>>;

/// The temperature T for which softmax(z / T) has the smallest cross-entropy with the labels,
/// between 1/20 and 20 (pictures that are all told apart would ask for 0). The class that is
/// predicted does not change. One logit z of class 1 is the row (0, z). Throws Error without rows
/// and for labels that do not fit.
double fit_temperature(const ScoreRows& logits, const std::vector<int32_t>& labels);

/// The pictures whose largest probability lies in one interval (low, high].
struct CalibrationBin {
  int64_t pictures = 0;
  double probability_sum = 0;  ///< of their largest probabilities
  double right = 0;            ///< how many of them were predicted rightly
};

/// The pictures in `bins` equal intervals from 0 to 1. Throws Error as fit_temperature() does.
std::vector<CalibrationBin> calibration_bins(const ScoreRows& probabilities,
                                             const std::vector<int32_t>& labels, int bins = 15);

/// The expected calibration error: the sum over calibration_bins() of their share of the pictures
/// times the difference between the mean of the probabilities and the share of right predictions.
double expected_calibration_error(const ScoreRows& probabilities,
                                  const std::vector<int32_t>& labels, int bins = 15);

}  // namespace fettle
