#include "engine/train/threshold.h"

#include <algorithm>
#include <numeric>

namespace fettle {
namespace {

/// Whether `a` serves the goal better than `b`, which was seen at a higher threshold.
bool better(const ThresholdChoice& a, const ThresholdChoice& b, const ThresholdGoal& goal) {
  if (goal.recall > 0) return a.recall >= goal.recall && b.recall < goal.recall;
  return a.f1 > b.f1;
}

double ratio(double part, double whole) {
  return whole > 0 ? part / whole : 0;
}

}  // namespace

ThresholdChoice choose_threshold(const std::vector<float>& probabilities,
                                 const std::vector<bool>& positive, const ThresholdGoal& goal) {
  require(probabilities.size() == positive.size(),
          "choose_threshold: needs a probability a picture");
  std::vector<size_t> order(probabilities.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return probabilities[a] > probabilities[b]; });
  const auto positives = static_cast<double>(std::count(positive.begin(), positive.end(), true));
  require(positives > 0, "there is no defective picture to choose a threshold by");

  ThresholdChoice best{1, 0, -1, -1};
  double hits = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    hits += positive[order[i]];
    const double here = probabilities[order[i]];
    const bool is_least = i + 1 == order.size();
    const double next = is_least ? 0 : probabilities[order[i + 1]];
    if (!is_least && next == here) continue;  // equals fall on one side
    const double threshold = is_least ? 0.999 * here : (here + next) / 2;
    ThresholdChoice choice{threshold, hits / static_cast<double>(i + 1), hits / positives, 0};
    choice.f1 = ratio(2 * choice.precision * choice.recall, choice.precision + choice.recall);
    if (better(choice, best, goal)) best = choice;
  }
  return best;
}

std::vector<ThresholdChoice> threshold_choices(const MaskMetricsCounter& counter) {
  std::vector<ThresholdChoice> choices;
  const std::vector<std::vector<MaskCounts>> steps = counter.counts_of_steps();
  for (int64_t step = MaskMetricsCounter::bins - 1; step > 0; --step) {
    const double threshold =
        static_cast<double>(step) / static_cast<double>(MaskMetricsCounter::bins);
    const std::vector<MaskCounts>& counts = steps[static_cast<size_t>(step)];
    choices.push_back({threshold, mean_over_kinds(counts, &MaskCounts::precision),
                       mean_over_kinds(counts, &MaskCounts::recall),
                       mean_over_kinds(counts, &MaskCounts::dice)});
  }
  return choices;
}

ThresholdChoice choose_threshold(const MaskMetricsCounter& counter, const ThresholdGoal& goal) {
  ThresholdChoice best{1, 0, -1, -1};
  for (const ThresholdChoice& choice : threshold_choices(counter))
    if (better(choice, best, goal)) best = choice;
  require(best.recall >= goal.recall, "no threshold reaches a recall of ", goal.recall,
          " of the pixels; ask for less, or train longer");
  return best;
}

}  // namespace fettle
