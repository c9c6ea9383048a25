#include "engine/train/curves.h"

#include <algorithm>
#include <numeric>

#include "engine/error.h"

namespace fettle {

Curves curves_of(const std::vector<float>& probabilities, const std::vector<bool>& positive) {
  require(probabilities.size() == positive.size(), "curves_of: needs a probability a picture");
  std::vector<size_t> order(probabilities.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return probabilities[a] > probabilities[b]; });
  const auto positives = static_cast<double>(std::count(positive.begin(), positive.end(), true));
  const double negatives = static_cast<double>(positive.size()) - positives;
  const auto rate = [](double part, double whole) { return whole > 0 ? part / whole : 0; };

  Curves curves;
  double hits = 0;
  Curves::Point last{0, 0, 0, 0};
  for (size_t i = 0; i < order.size(); ++i) {
    hits += positive[order[i]];
    const float here = probabilities[order[i]];
    if (i + 1 < order.size() && probabilities[order[i + 1]] == here) continue;
    const auto called = static_cast<double>(i + 1);
    const Curves::Point point{here, rate(hits, positives), rate(called - hits, negatives),
                              hits / called};
    curves.roc_auc += (point.false_positive_rate - last.false_positive_rate) *
                      (point.true_positive_rate + last.true_positive_rate) / 2;
    curves.average_precision +=
        (point.true_positive_rate - last.true_positive_rate) * point.precision;
    curves.points.push_back(point);
    last = point;
  }
  return curves;
}

}  // namespace fettle
