// A classifier of several labels a picture: report, loss and calibration against scikit-learn,
// PyTorch and scipy.
#include "engine/train/label_metrics.h"

#include <gtest/gtest.h>

#include "engine/ops/losses.h"
#include "engine/train/curves.h"
#include "engine/train/fit.h"
#include "tests/stored_values.h"

namespace fettle {
namespace {

using Json = nlohmann::json;

std::vector<Json> cases() {
  return stored_values("labels.json", "cases").get<std::vector<Json>>();
}

Tensor logits_of(const Json& c) {
  return stored_tensor(c["shape"], c["logits"]);
}

LabelRows truth_of(const Json& c) {
  const auto flat = c["targets"].get<std::vector<uint8_t>>();
  const auto K = c["shape"][1].get<std::ptrdiff_t>();
  LabelRows rows;
  for (auto at = flat.begin(); at != flat.end(); at += K) rows.emplace_back(at, at + K);
  return rows;
}

void expect_averages(const ClassAverages& ours, const Json& theirs) {
  EXPECT_NEAR(ours.precision, theirs["precision"].get<double>(), 1e-12);
  EXPECT_NEAR(ours.recall, theirs["recall"].get<double>(), 1e-12);
  EXPECT_NEAR(ours.f1, theirs["f1-score"].get<double>(), 1e-12);
}

TEST(LabelReport, EqualsScikitLearn) {
  for (const Json& c : cases()) {
    const Json& theirs = c["report"];
    const LabelReport ours =
        label_report(label_probabilities_of(logits_of(c)), truth_of(c), c["threshold"]);
    for (size_t k = 0; k < ours.labels.size(); ++k) {
      const ClassMetrics& label = ours.labels[k];
      const Json& his = theirs[c["names"][k].get<std::string>()];
      expect_averages({label.precision, label.recall, label.f1}, his);
      EXPECT_EQ(static_cast<double>(label.support), his["support"].get<double>());
    }
    expect_averages(ours.micro, theirs["micro avg"]);
    expect_averages(ours.macro, theirs["macro avg"]);
    expect_averages(ours.weighted, theirs["weighted avg"]);
    expect_averages(ours.samples, theirs["samples avg"]);
    EXPECT_NEAR(ours.accuracy, c["accuracy"].get<double>(), 1e-12);
    EXPECT_NEAR(ours.exact_match, c["exact_match"].get<double>(), 1e-12);
  }
}

TEST(LabelReport, RatiosOfNothingAreZero) {
  const LabelReport none = label_report({{0.1f, 0.2f}, {0.4f, 0.3f}}, {{0, 0}, {0, 0}}, 0.5);
  EXPECT_EQ(none.accuracy, 1);
  EXPECT_EQ(none.exact_match, 1);
  EXPECT_EQ(none.micro.precision + none.macro.f1 + none.weighted.recall + none.samples.f1, 0);
  // From the threshold on, that itself included.
  EXPECT_EQ(label_report({{0.5f}}, {{1}}, 0.5).micro.recall, 1);
  EXPECT_THROW(label_report({}, {}, 0.5), Error);
  EXPECT_THROW(label_report({{0.1f}}, {{0, 1}}, 0.5), Error);
}

// In batches, from logits; the area is over the counter's steps, and so only near the curve's.
TEST(LabelMetrics, CountWhatTheReportSays) {
  for (const Json& c : cases()) {
    const auto names = c["names"].get<std::vector<std::string>>();
    const auto K = std::ssize(names);
    const auto z = c["logits"].get<std::vector<float>>(),
               t = c["targets"].get<std::vector<float>>();
    LabelMetricsCounter counter(names);
    for (size_t begin = 0; begin < z.size();) {
      const auto rows = std::min<int64_t>(7, std::ssize(z) / K - static_cast<int64_t>(begin) / K);
      const auto count = static_cast<size_t>(rows * K);
      const Shape shape = {rows, K};
      const Tensor logits = Tensor::from(shape, std::span(z).subspan(begin, count), test_device());
      const Tensor targets = Tensor::from(shape, std::span(t).subspan(begin, count), test_device());
      counter.add(logits, targets, binary_cross_entropy(logits, targets).item());
      begin += count;
    }
    const LabelReport whole = label_report(label_probabilities_of(logits_of(c)), truth_of(c), 0.5);
    const EpochLog log = counter.figures();
    EXPECT_NEAR(figure(log, "loss"), c["loss"].get<double>(), 1e-6);
    EXPECT_NEAR(figure(log, "accuracy"), whole.accuracy, 1e-12);
    EXPECT_EQ(counter.headline(), (std::pair<std::string, double>("accuracy", whole.accuracy)));
    EXPECT_NEAR(figure(log, "micro_precision"), whole.micro.precision, 1e-12);
    EXPECT_NEAR(figure(log, "micro_recall"), whole.micro.recall, 1e-12);
    EXPECT_NEAR(figure(log, "macro_f1"), whole.macro.f1, 1e-12);
    double mean = 0;
    for (size_t k = 0; k < names.size(); ++k) {
      EXPECT_NEAR(figure(log, names[k] + "_f1"), whole.labels[k].f1, 1e-12);
      EXPECT_NEAR(figure(log, names[k] + "_auc"), c["auc"][k].get<double>(), 5e-3);
      mean += counter.areas()[k] / static_cast<double>(K);
    }
    EXPECT_NEAR(figure(log, "auc"), mean, 1e-12);
  }
}

TEST(LabelMetrics, ALabelThatNobodyHasCountsForNoArea) {
  LabelMetricsCounter counter({"some", "none", "all"});
  const Tensor logits = Tensor::from({2, 3}, std::vector<float>{2, 1, 1, -2, -1, -1});
  counter.add(logits, Tensor::from({2, 3}, std::vector<float>{1, 0, 1, 0, 0, 1}), 0.5);
  EXPECT_EQ(counter.areas(), (std::vector<double>{1, 0, 0}));
  EXPECT_EQ(counter.auc(), 1);
  EXPECT_EQ(figure(LabelMetricsCounter({"a"}).figures(), "auc"), 0);
}

TEST(LabelCurves, EqualScikitLearn) {
  for (const Json& c : cases()) {
    const ScoreRows rows = label_probabilities_of(logits_of(c));
    const LabelRows truth = truth_of(c);
    for (size_t k = 0; k < c["auc"].size(); ++k) {
      std::vector<float> probabilities;
      std::vector<bool> positive;
      for (size_t n = 0; n < rows.size(); ++n) {
        probabilities.push_back(rows[n][k]);
        positive.push_back(truth[n][k] != 0);
      }
      const Curves curves = curves_of(probabilities, positive);
      EXPECT_NEAR(curves.roc_auc, c["auc"][k].get<double>(), 1e-12);
      EXPECT_NEAR(curves.average_precision, c["average_precision"][k].get<double>(), 1e-12);
    }
  }
}

TEST(LabelWeights, AreScikitLearnsAndTheirLossIsPyTorchs) {
  for (const Json& c : cases()) {
    std::vector<int64_t> counts(c["names"].size());
    const LabelRows truth = truth_of(c);
    for (const std::vector<uint8_t>& row : truth)
      for (size_t k = 0; k < row.size(); ++k) counts[k] += row[k];
    const std::vector<float> weights = balanced_label_weights(counts, std::ssize(truth));
    for (size_t i = 0; i < weights.size(); ++i)
      EXPECT_FLOAT_EQ(weights[i], c["balanced"][i / 2][i % 2].get<float>());

    const Tensor logits = leaf(logits_of(c));
    const Tensor targets = stored_tensor(c["shape"], c["targets"]);
    const Tensor loss = binary_cross_entropy(logits, targets, weights);
    EXPECT_NEAR(loss.item(), c["weighted_loss"].get<double>(), 1e-6);
    backward(loss);
    expect_equal(logits.grad(), c["weighted_dlogits"], "dlogits");
    EXPECT_THROW(binary_cross_entropy(logits, targets, {1, 2, 3}), Error);
    EXPECT_THROW(binary_cross_entropy(logits, targets, {1, 2, 3, 4}), Error);
  }
  EXPECT_THROW(balanced_label_weights({0, 3}, 5), Error);
  EXPECT_THROW(balanced_label_weights({2, 5}, 5), Error);
}

// As fettle evaluate does it: every label of every picture is a yes or no of its own.
TEST(LabelCalibration, FindsScipysTemperature) {
  for (const Json& c : cases()) {
    ScoreRows rows;
    for (const float z : c["logits"].get<std::vector<float>>()) rows.push_back({0, z});
    EXPECT_NEAR(fit_temperature(rows, c["targets"].get<std::vector<int32_t>>()),
                c["temperature"].get<double>(), 1e-6);
  }
}

}  // namespace
}  // namespace fettle
