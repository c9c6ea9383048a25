#include "engine/train/mask_metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <random>

#include "engine/train/threshold.h"
#include "tests/random_values.h"
#include "tests/stored_values.h"

namespace fettle {
namespace {

std::map<std::string, double> figures(const MetricsCounter& counter) {
  std::map<std::string, double> all;
  for (const auto& [name, value] : counter.figures()) all[name] = value;
  return all;
}

void expect_definitions(double threshold) {
  SCOPED_TRACE(threshold);
  const int64_t kinds = 3;
  MaskMetricsCounter counter({"a", "b b", "c"}, threshold);
  double tp[kinds] = {}, fp[kinds] = {}, fn[kinds] = {}, tn[kinds] = {};
  std::mt19937 random(4);
  std::uniform_real_distribution<float> uniform(0, 1);
  for (const int64_t pictures : {3, 1}) {
    const Shape shape = {pictures, 7, 9, kinds};
    std::vector<float> logits, masks;
    for (int64_t i = 0; i < shape.size(); ++i) {
      const auto kind = static_cast<size_t>(i % kinds);
      const bool truth = uniform(random) < 0.2f + 0.1f * static_cast<float>(kind);
      // Off the edges between bins, where rounding would decide.
      const double probability =
          (std::floor(uniform(random) * 200) + 0.5) / 200 * (truth ? 1 : 0.7) + 0.0007;
      logits.push_back(static_cast<float>(std::log(probability / (1 - probability))));
      masks.push_back(truth);
      const bool predicted = probability >= threshold;
      (truth ? (predicted ? tp : fn) : (predicted ? fp : tn))[kind] += 1;
    }
    counter.add(Tensor::from(shape, logits), Tensor::from(shape, masks), pictures == 3 ? 1.0 : 5.0);
  }
  std::map<std::string, double> expected = {{"loss", 2.0}};
  for (int64_t k = 0; k < kinds; ++k) {
    const double dice = 2 * tp[k] / (2 * tp[k] + fp[k] + fn[k]);
    expected[std::vector<std::string>{"a_dice", "b_b_dice", "c_dice"}[k]] = dice;
    expected["dice"] += dice / kinds;
    expected["iou"] += tp[k] / (tp[k] + fp[k] + fn[k]) / kinds;
    expected["precision"] += tp[k] / (tp[k] + fp[k]) / kinds;
    expected["recall"] += tp[k] / (tp[k] + fn[k]) / kinds;
    expected["tversky"] += tp[k] / (tp[k] + 0.3 * fp[k] + 0.7 * fn[k]) / kinds;
    expected["accuracy"] += (tp[k] + tn[k]) / (tp[k] + tn[k] + fp[k] + fn[k]) / kinds;
  }
  const std::map<std::string, double> found = figures(counter);
  ASSERT_EQ(found.size(), expected.size());
  for (const auto& [name, value] : expected) EXPECT_NEAR(found.at(name), value, 1e-12) << name;
  EXPECT_EQ(counter.headline().first, "dice");
  EXPECT_NEAR(counter.headline().second, expected["dice"], 1e-12);
}

TEST(MaskMetrics, AreTheDefinitionsOverAllPixelsOfAllBatches) {
  // On the edge of a bin, within one, in the first, and near the last.
  for (const double threshold : {0.3, 0.3141, 0.0042, 0.9251}) expect_definitions(threshold);
}

TEST(MaskMetrics, EmptyMasksAreDefined) {
  const auto of = [](std::vector<float> probabilities, std::vector<float> masks) {
    MaskMetricsCounter counter({"a", "b"});
    counter.add_probabilities(Tensor::from({1, 2, 2, 2}, std::move(probabilities)),
                              Tensor::from({1, 2, 2, 2}, std::move(masks)));
    return figures(counter);
  };
  // Nothing to find, nothing found: all is right.
  for (const char* name : {"dice", "iou", "precision", "recall", "tversky", "accuracy"})
    EXPECT_EQ(of({0, 0, 0, 0, 0, 0, 0, 0}, {0, 0, 0, 0, 0, 0, 0, 0})[name], 1) << name;
  // Nothing to find, something found; something to find, nothing found.
  for (const char* name : {"dice", "iou", "precision", "recall"}) {
    EXPECT_EQ(of({1, 0, 0, 0, 0, 0, 0, 0}, {0, 0, 0, 0, 0, 0, 0, 0})[name], 0) << name;
    EXPECT_EQ(of({0, 0, 0, 0, 0, 0, 0, 0}, {1, 0, 0, 0, 0, 0, 0, 0})[name], 0) << name;
  }
  // A kind that occurs nowhere does not count in the mean.
  EXPECT_EQ(of({1, 0, 1, 0, 0, 0, 0, 0}, {1, 0, 0, 0, 0, 0, 0, 0})["precision"], 0.5);
}

TEST(MaskMetrics, FiguresHaveTheirNamesBeforeTheFirstBatch) {
  MaskMetricsCounter counter({"a", "b"});
  const EpochLog before = counter.figures();
  counter.add(random_tensor({1, 2, 2, 2}, 1), Tensor::zeros({1, 2, 2, 2}), 1);
  const EpochLog after = counter.figures();
  ASSERT_EQ(before.size(), after.size());
  for (size_t i = 0; i < before.size(); ++i) EXPECT_EQ(before[i].first, after[i].first);
}

TEST(MaskMetrics, RefusesShapesThatDoNotFit) {
  MaskMetricsCounter counter({"a", "b"});
  EXPECT_NE(message_of([&] {
              counter.add(Tensor::zeros({1, 2, 2, 2}), Tensor::zeros({1, 2, 3, 2}), 0);
            }).find("do not fit"),
            std::string::npos);
  EXPECT_NE(message_of([&] {
              counter.add(Tensor::zeros({1, 2, 2, 3}), Tensor::zeros({1, 2, 2, 3}), 0);
            }).find("2 kinds"),
            std::string::npos);
}

// Thresholds.

double f1_at(const std::vector<float>& p, const std::vector<bool>& positive, double threshold) {
  double tp = 0, fp = 0, fn = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    const bool called = p[i] >= threshold;
    tp += called && positive[i];
    fp += called && !positive[i];
    fn += !called && positive[i];
  }
  return 2 * tp / (2 * tp + fp + fn);
}

TEST(Threshold, OfAClassifierIsTheBestOfAll) {
  std::mt19937 random(9);
  for (int round = 0; round < 50; ++round) {
    std::vector<float> p;
    std::vector<bool> positive;
    for (unsigned i = 0; i < 4 + random() % 30; ++i) {
      positive.push_back(i == 0 || random() % 3 == 0);
      p.push_back(static_cast<float>(random() % 20 + (positive.back() ? 6 : 0)) / 26);
    }
    double best = 0;
    for (const float threshold : p) best = std::max(best, f1_at(p, positive, threshold));
    const ThresholdChoice choice = choose_threshold(p, positive, {});
    EXPECT_NEAR(choice.f1, best, 1e-12);
    EXPECT_NEAR(f1_at(p, positive, choice.threshold), best, 1e-12);
  }
}

TEST(Threshold, ReachesARecallWithTheFewestFalseAlarms) {
  const std::vector<float> p = {0.9f, 0.8f, 0.7f, 0.6f, 0.5f, 0.1f};
  const std::vector<bool> positive = {true, false, true, false, true, false};
  const ThresholdChoice two = choose_threshold(p, positive, {.recall = 0.6});
  EXPECT_NEAR(two.threshold, 0.65, 1e-6);
  EXPECT_NEAR(two.recall, 2.0 / 3, 1e-12);
  const ThresholdChoice all = choose_threshold(p, positive, {.recall = 0.99});
  EXPECT_NEAR(all.threshold, 0.3, 1e-6);
  EXPECT_EQ(all.recall, 1);
  EXPECT_NEAR(all.precision, 0.6, 1e-12);
  // Below all of them there is nothing to halve: no lower than it must be.
  const ThresholdChoice lowest = choose_threshold({0.9f, 0.6f}, {false, true}, {.recall = 1});
  EXPECT_NEAR(lowest.threshold, 0.6, 0.001);
  EXPECT_LT(lowest.threshold, 0.6f);
  EXPECT_NE(message_of([] { choose_threshold({0.5f}, {false}, {}); }).find("no defective picture"),
            std::string::npos);
}

Tensor row(const std::vector<float>& values) {
  return Tensor::from({1, 1, std::ssize(values), 1}, values);
}

TEST(Threshold, OfMasksIsTheBestStep) {
  MaskMetricsCounter counter({"a"});
  // Pixels with a defect lie at 0.62 and 0.42, those without at 0.52 and below.
  counter.add_probabilities(row({0.62f, 0.62f, 0.62f, 0.42f, 0.52f, 0.1f, 0.1f, 0.1f}),
                            row({1, 1, 1, 1, 0, 0, 0, 0}));
  const ThresholdChoice best = choose_threshold(counter, {});
  EXPECT_NEAR(best.f1, 8.0 / 9, 1e-12);
  EXPECT_LE(best.threshold, 0.42);
  EXPECT_GT(best.threshold, 0.1);
  EXPECT_NEAR(best.recall, 1, 1e-12);
  const ThresholdChoice part = choose_threshold(counter, {.recall = 0.7});
  EXPECT_GT(part.threshold, 0.52);
  EXPECT_NEAR(part.recall, 0.75, 1e-12);
  MaskMetricsCounter blind({"a"});
  blind.add_probabilities(Tensor::zeros({1, 1, 2, 1}), row({1, 0}));
  EXPECT_NE(message_of([&] { choose_threshold(blind, {.recall = 0.9}); }).find("no threshold"),
            std::string::npos);
}

TEST(Threshold, EveryChoiceOfMasksIsWhatCountingForItAloneGives) {
  std::mt19937 random(3);
  std::vector<float> probabilities, masks;
  for (int i = 0; i < 600; ++i) {
    // Off the edges between bins, where rounding would decide.
    probabilities.push_back((static_cast<float>(random() % 200) + 0.4f) / 200);
    masks.push_back(random() % 3 == 0);
  }
  const auto counted = [&](double threshold) {
    MaskMetricsCounter counter({"a", "b"}, threshold);
    counter.add_probabilities(Tensor::from({1, 15, 20, 2}, probabilities),
                              Tensor::from({1, 15, 20, 2}, masks));
    return counter;
  };
  for (const double own : {0.5, 0.3141, 0.0042, 0.999}) {
    const std::vector<ThresholdChoice> choices = threshold_choices(counted(own));
    ASSERT_EQ(std::ssize(choices), MaskMetricsCounter::bins - 1);
    for (const ThresholdChoice& choice : choices) {
      const std::vector<MaskCounts> alone = counted(choice.threshold).counts();
      EXPECT_EQ(choice.precision, mean_over_kinds(alone, &MaskCounts::precision));
      EXPECT_EQ(choice.recall, mean_over_kinds(alone, &MaskCounts::recall));
      EXPECT_EQ(choice.f1, mean_over_kinds(alone, &MaskCounts::dice));
    }
  }
}

}  // namespace
}  // namespace fettle
