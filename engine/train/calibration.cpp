#include "engine/train/calibration.h"

#include <algorithm>
#include <cmath>

#include "engine/error.h"

namespace fettle {
namespace {

void check(const ScoreRows& rows, const std::vector<int32_t>& labels) {
  require(!rows.empty() && rows.size() == labels.size(),
          "calibration: needs pictures, and a label for each");
  for (size_t n = 0; n < rows.size(); ++n)
    require(labels[n] >= 0 && labels[n] < std::ssize(rows[n]), "calibration: the label ", labels[n],
            " is not one of the ", rows[n].size(), " classes");
}

/// The slope of the cross-entropy by b = 1 / T: the mean logit under softmax(b * z), less the
/// label's. It rises with b, so the cross-entropy has one minimum.
double slope(const ScoreRows& logits, const std::vector<int32_t>& labels, double b) {
  double sum = 0;
  for (size_t n = 0; n < logits.size(); ++n) {
    const std::vector<float>& z = logits[n];
    const double highest = *std::max_element(z.begin(), z.end());
    double total = 0, weighted = 0;
    for (const float value : z) {
      const double e = std::exp(b * (value - highest));
      total += e;
      weighted += e * value;
    }
    sum += weighted / total - z[static_cast<size_t>(labels[n])];
  }
  return sum;
}

}  // namespace

double fit_temperature(const ScoreRows& logits, const std::vector<int32_t>& labels) {
  check(logits, labels);
  constexpr double hottest = 20;
  double low = 1 / hottest, high = hottest;  // of b
  for (int i = 0; i < 60; ++i) {
    const double middle = std::sqrt(low * high);
    (slope(logits, labels, middle) < 0 ? low : high) = middle;
  }
  return 1 / std::sqrt(low * high);
}

std::vector<CalibrationBin> calibration_bins(const ScoreRows& probabilities,
                                             const std::vector<int32_t>& labels, int bins) {
  check(probabilities, labels);
  std::vector<CalibrationBin> all(static_cast<size_t>(bins));
  for (size_t n = 0; n < probabilities.size(); ++n) {
    const auto best = std::max_element(probabilities[n].begin(), probabilities[n].end());
    const auto bin = std::clamp(static_cast<int>(std::ceil(double{*best} * bins)) - 1, 0, bins - 1);
    CalibrationBin& here = all[static_cast<size_t>(bin)];
    ++here.pictures;
    here.probability_sum += *best;
    here.right += best - probabilities[n].begin() == labels[n];
  }
  return all;
}

double expected_calibration_error(const ScoreRows& probabilities,
                                  const std::vector<int32_t>& labels, int bins) {
  double error = 0;
  for (const CalibrationBin& bin : calibration_bins(probabilities, labels, bins))
    error += std::fabs(bin.probability_sum - bin.right);
  return error / static_cast<double>(probabilities.size());
}

}  // namespace fettle
