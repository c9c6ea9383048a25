// The report, the curves and the calibration of a classifier against scikit-learn and scipy.
#include <gtest/gtest.h>

#include "engine/train/calibration.h"
#include "engine/train/classification_report.h"
#include "engine/train/curves.h"
#include "engine/train/interval.h"
#include "engine/train/mask_metrics.h"
#include "tests/stored_values.h"

namespace fettle {
namespace {

using Json = nlohmann::json;

std::vector<Json> cases() {
  return stored_values("classification.json", "cases").get<std::vector<Json>>();
}

ScoreRows rows_of(const Json& values, const Json& shape) {
  const auto flat = values.get<std::vector<float>>();
  const auto K = shape[1].get<std::ptrdiff_t>();
  ScoreRows rows;
  for (auto at = flat.begin(); at != flat.end(); at += K) rows.emplace_back(at, at + K);
  return rows;
}

void expect_averages(const ClassAverages& ours, const Json& theirs) {
  EXPECT_NEAR(ours.precision, theirs["precision"].get<double>(), 1e-12);
  EXPECT_NEAR(ours.recall, theirs["recall"].get<double>(), 1e-12);
  EXPECT_NEAR(ours.f1, theirs["f1-score"].get<double>(), 1e-12);
}

TEST(ClassificationReport, EqualsScikitLearn) {
  for (const Json& c : cases()) {
    const ClassificationReport report =
        classification_report(c["confusion"].get<std::vector<std::vector<int64_t>>>());
    for (size_t k = 0; k < report.classes.size(); ++k) {
      const ClassMetrics& figures = report.classes[k];
      const Json& theirs = c["report"][std::to_string(k)];
      expect_averages({figures.precision, figures.recall, figures.f1}, theirs);
      EXPECT_EQ(figures.support, theirs["support"].get<int64_t>());
    }
    EXPECT_NEAR(report.accuracy, c["report"]["accuracy"].get<double>(), 1e-12);
    expect_averages(report.macro, c["report"]["macro avg"]);
    expect_averages(report.weighted, c["report"]["weighted avg"]);
  }
}

TEST(Curves, EqualScikitLearn) {
  for (const Json& c : cases()) {
    const ScoreRows rows = rows_of(c["probabilities"], c["shape"]);
    const auto labels = c["labels"].get<std::vector<size_t>>();
    for (size_t k = 0; k < c["curves"].size(); ++k) {
      std::vector<float> probabilities;
      std::vector<bool> positive;
      for (size_t n = 0; n < rows.size(); ++n) {
        probabilities.push_back(rows[n][k]);
        positive.push_back(labels[n] == k);
      }
      const Curves ours = curves_of(probabilities, positive);
      const Json& theirs = c["curves"][k];
      ASSERT_EQ(ours.points.size(), theirs["thresholds"].size());
      for (size_t i = 0; i < ours.points.size(); ++i) {
        const Curves::Point& point = ours.points[i];
        EXPECT_FLOAT_EQ(point.threshold, theirs["thresholds"][i].get<float>());
        EXPECT_NEAR(point.false_positive_rate, theirs["fpr"][i].get<double>(), 1e-12);
        EXPECT_NEAR(point.true_positive_rate, theirs["tpr"][i].get<double>(), 1e-12);
        // scikit-learn ends where every positive is found.
        if (i >= theirs["precision"].size()) continue;
        EXPECT_NEAR(point.precision, theirs["precision"][i].get<double>(), 1e-12);
        EXPECT_NEAR(point.true_positive_rate, theirs["recall"][i].get<double>(), 1e-12);
      }
      EXPECT_NEAR(ours.roc_auc, theirs["auc"].get<double>(), 1e-12);
      EXPECT_NEAR(ours.average_precision, theirs["average_precision"].get<double>(), 1e-12);
    }
  }
}

TEST(Curves, AreEmptyOfMeaningWithOneClassOnly) {
  const Curves none = curves_of({0.2f, 0.7f}, {false, false});
  EXPECT_EQ(none.roc_auc, 0);
  EXPECT_EQ(none.average_precision, 0);
  EXPECT_TRUE(curves_of({}, {}).points.empty());
  EXPECT_THROW(curves_of({0.5f}, {}), Error);
}

TEST(Calibration, FindsTheTemperatureAndTheErrorOfItsDefinition) {
  for (const Json& c : cases()) {
    const auto labels = c["labels"].get<std::vector<int32_t>>();
    EXPECT_NEAR(fit_temperature(rows_of(c["logits"], c["shape"]), labels),
                c["temperature"].get<double>(), 1e-6);
    EXPECT_NEAR(expected_calibration_error(rows_of(c["probabilities"], c["shape"]), labels),
                c["error"].get<double>(), 1e-7);
  }
}

TEST(Calibration, StaysInItsBoundsAndRefusesNonsense) {
  EXPECT_NEAR(fit_temperature({{0, 1}, {1, 0}}, {1, 0}), 1.0 / 20, 1e-9);  // all right: colder
  EXPECT_NEAR(fit_temperature({{0, 1}, {1, 0}}, {0, 1}), 20, 1e-6);        // all wrong: hotter
  EXPECT_THROW(fit_temperature({}, {}), Error);
  EXPECT_THROW(fit_temperature({{0, 1}}, {2}), Error);
  EXPECT_THROW(expected_calibration_error({{0, 1}}, {1, 0}), Error);
  EXPECT_THROW(calibration_bins({{0, 1}}, {1, 0}), Error);
}

// A sigmoid a label: what counts pixels of masks [N,H,W,kinds] counts labels [N,kinds], too.
TEST(SeveralLabels, AreMeasuredAsScikitLearnDoes) {
  const Json stored = stored_values("classification.json", "several_labels");
  MaskMetricsCounter counter({"crack", "hole", "scratch"});
  counter.add(stored_tensor({50, 3}, stored["logits"]), stored_tensor({50, 3}, stored["targets"]),
              0);
  const std::vector<MaskCounts> counts = counter.counts();
  for (size_t k = 0; k < 3; ++k) {
    EXPECT_NEAR(counts[k].precision(), stored["precision"][k].get<double>(), 1e-12);
    EXPECT_NEAR(counts[k].recall(), stored["recall"][k].get<double>(), 1e-12);
    EXPECT_NEAR(counts[k].dice(), stored["f1"][k].get<double>(), 1e-12);
  }
  for (const auto& [name, figure] : {std::pair{"macro_precision", &MaskCounts::precision},
                                     {"macro_recall", &MaskCounts::recall},
                                     {"macro_f1", &MaskCounts::dice}})
    EXPECT_NEAR(mean_over_kinds(counts, figure), stored[name].get<double>(), 1e-12) << name;
}

TEST(Calibration, BinsHoldPicturesByTheirLargestProbability) {
  // Of four bins: 0.5 lies in (0.25, 0.5], 0.6 and 0.75 in (0.5, 0.75], 1 in the last.
  const std::vector<CalibrationBin> bins = calibration_bins(
      {{0.5f, 0.5f}, {0.4f, 0.6f}, {0.75f, 0.25f}, {0, 1}}, {1, 1, 1, 1}, /*bins=*/4);
  ASSERT_EQ(bins.size(), 4u);
  const int64_t pictures[] = {0, 1, 2, 1};
  const double sums[] = {0, 0.5, 1.35, 1}, right[] = {0, 0, 1, 1};
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(bins[i].pictures, pictures[i]) << i;
    EXPECT_NEAR(bins[i].probability_sum, sums[i], 1e-6) << i;
    EXPECT_EQ(bins[i].right, right[i]) << i;
  }
}

// Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in Medicine 17,
// 1998, table I.
TEST(Interval, IsWilsons) {
  const auto expect = [](int64_t part, int64_t whole, double low, double high) {
    const Interval interval = wilson_interval(part, whole);
    EXPECT_NEAR(interval.low, low, 5e-5) << part << " of " << whole;
    EXPECT_NEAR(interval.high, high, 5e-5) << part << " of " << whole;
  };
  expect(81, 263, 0.2553, 0.3662);
  expect(15, 148, 0.0624, 0.1605);
  expect(0, 20, 0, 0.1611);
  expect(20, 20, 1 - 0.1611, 1);
  expect(1, 29, 0.0061, 0.1718);
  expect(0, 0, 0, 1);  // nothing is known
}

}  // namespace
}  // namespace fettle
