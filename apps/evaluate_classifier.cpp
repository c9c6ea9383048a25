// fettle evaluate of a classifier: the report, the curves, and whether its probabilities are true.
#include <cmath>
#include <iostream>
#include <map>

#include "apps/curve_files.h"
#include "apps/evaluation.h"
#include "apps/table.h"
#include "engine/argument_error.h"
#include "engine/ops/arithmetic.h"

namespace fettle {
namespace {

Judged judge(const EvaluateOptions& o, TrainedModel& model, const Data& data, Device device) {
  std::map<std::string, int32_t> labels;
  for (const Example& example : data.examples) labels[example.path] = example.label;
  const Logits all = logits_of(model, data.examples, o, device);
  require(all.values.defined(), "none of the pictures could be read");
  Judged judged{all.values, {}};
  for (const std::string& path : all.paths) judged.labels.push_back(labels[path]);
  return judged;
}

Tensor tensor_of(const std::vector<int32_t>& labels) {
  return Tensor::from({std::ssize(labels)}, labels);
}

std::vector<Curves> class_curves(const Judged& judged, size_t classes) {
  const ScoreRows rows = judged.probabilities();
  std::vector<Curves> curves;
  for (size_t k = 0; k < classes; ++k) {
    std::vector<float> probabilities;
    std::vector<bool> positive;
    for (size_t n = 0; n < rows.size(); ++n) {
      probabilities.push_back(rows[n][k]);
      positive.push_back(judged.labels[n] == static_cast<int32_t>(k));
    }
    curves.push_back(curves_of(probabilities, positive));
  }
  return curves;
}

void print(std::ostream& out, const Metrics& metrics, const ClassificationReport& report,
           const std::vector<Curves>& curves, const std::vector<std::string>& names) {
  std::vector<std::vector<std::string>> rows;
  for (size_t k = 0; k < names.size(); ++k) {
    const ClassMetrics& c = report.classes[k];
    rows.push_back({names[k], fixed(c.precision, 4), fixed(c.recall, 4), fixed(c.f1, 4),
                    fixed(curves[k].roc_auc, 4), fixed(curves[k].average_precision, 4),
                    with_commas(c.support)});
  }
  const auto add = [&](const char* name, const ClassAverages& mean) {
    rows.push_back({name, fixed(mean.precision, 4), fixed(mean.recall, 4), fixed(mean.f1, 4), "",
                    "", with_commas(metrics.examples)});
  };
  add("macro avg", report.macro);
  add("weighted avg", report.weighted);
  print_table(out, {"class", "precision", "recall", "f1", "auc", "avg precision", "pictures"},
              rows);
  out << "accuracy " << fixed(metrics.accuracy, 4) << "   loss " << fixed(metrics.loss, 4)
      << "\n\n";

  std::vector<std::string> header = {"true \\ predicted"};
  header.insert(header.end(), names.begin(), names.end());
  rows.clear();
  for (size_t k = 0; k < metrics.confusion.size(); ++k) {
    rows.push_back({names[k]});
    for (int64_t count : metrics.confusion[k]) rows.back().push_back(with_commas(count));
  }
  print_table(out, header, rows);
}

Json json_of(const Metrics& m, const ClassificationReport& report,
             const std::vector<Curves>& curves, const std::vector<std::string>& names) {
  Json classes;
  for (size_t k = 0; k < names.size(); ++k) {
    const ClassMetrics& c = report.classes[k];
    classes[names[k]] = {{"precision", c.precision},
                         {"recall", c.recall},
                         {"f1", c.f1},
                         {"auc", m.classes[k].auc},
                         {"roc_auc", curves[k].roc_auc},
                         {"average_precision", curves[k].average_precision},
                         {"support", c.support}};
  }
  return {{"loss", m.loss},
          {"accuracy", m.accuracy},
          {"precision", m.precision},
          {"recall", m.recall},
          {"f1", m.f1},
          {"auc", m.auc},
          {"examples", m.examples},
          {"classes", classes},
          {"macro_avg", json_of(report.macro)},
          {"weighted_avg", json_of(report.weighted)},
          {"confusion_matrix", m.confusion}};
}

/// Chooses the threshold if that was asked for, and says how the run calls pictures with it.
Json judge_calls(const EvaluateOptions& o, TrainedModel& model, const Judged& judged) {
  const ScoreRows rows = judged.probabilities();
  std::vector<float> probabilities;
  std::vector<bool> positive;
  for (size_t i = 0; i < rows.size(); ++i) {
    probabilities.push_back(rows[i][1]);
    positive.push_back(judged.labels[i] == 1);
  }
  if (!o.choose.empty())
    model.config.threshold = choose_threshold(probabilities, positive, goal_of(o.choose)).threshold;
  Calls calls;
  for (size_t i = 0; i < positive.size(); ++i)
    calls.add(positive[i], class_of(model.config, rows[i]) == 1);
  calls.print(std::cout, model.config.class_names[1], model.config.threshold);
  return calls.json();
}

}  // namespace

Json calibrate(TrainedModel& model, Judged& judged) {
  const int64_t K = judged.logits.shape()[1];
  const std::vector<float> z = judged.logits.to_vector();
  ScoreRows rows;
  for (size_t n = 0; n < judged.labels.size(); ++n) {
    const auto first = z.begin() + static_cast<int64_t>(n) * K;
    rows.emplace_back(first, first + K);
    if (K == 1) rows.back().insert(rows.back().begin(), 0.0f);
  }
  const double factor = fit_temperature(rows, judged.labels);
  const double before = expected_calibration_error(judged.probabilities(), judged.labels);
  judged.logits = rescale(judged.logits, static_cast<float>(1 / factor));
  const double after = expected_calibration_error(judged.probabilities(), judged.labels);

  RunConfig& config = model.config;
  config.temperature *= factor;
  if (config.threshold > 0 && config.threshold < 1) {
    const double odds = std::log(config.threshold / (1 - config.threshold));
    config.threshold = 1 / (1 + std::exp(-odds / factor));
  }
  std::cout << "temperature " << fixed(config.temperature, 4) << ": expected calibration error "
            << fixed(before, 4) << " before, " << fixed(after, 4) << " after\n\n";
  return {{"temperature", config.temperature},
          {"expected_calibration_error_before", before},
          {"expected_calibration_error_after", after}};
}

Json json_of(const ClassAverages& mean) {
  return {{"precision", mean.precision}, {"recall", mean.recall}, {"f1", mean.f1}};
}

Json evaluate_classifier(const EvaluateOptions& o, TrainedModel& model, const Data& data,
                         Device device) {
  const bool two_classes = data.names.size() == 2;
  require_argument(two_classes || o.choose.empty(),
                   "--choose-threshold needs a run of two classes, not ", data.names.size());
  Judged judged = judge(o, model, data, device);
  Json calibration;
  if (o.calibrate) calibration = calibrate(model, judged);

  ClassMetricsCounter counter;
  const Tensor labels = tensor_of(judged.labels);
  counter.add(judged.logits, labels, cross_entropy()(judged.logits, labels).item());
  const Metrics metrics = counter.result();
  const ClassificationReport report = classification_report(metrics.confusion);
  const std::vector<Curves> curves = class_curves(judged, data.names.size());
  print(std::cout, metrics, report, curves, data.names);
  write_curves(o.folder(), data.names, curves);

  Json json = json_of(metrics, report, curves, data.names);
  json["expected_calibration_error"] =
      expected_calibration_error(judged.probabilities(), judged.labels);
  if (o.calibrate) json["calibration"] = calibration;
  if (two_classes) {
    const Json calls = judge_calls(o, model, judged);
    json["threshold"] = model.config.threshold;
    json["at_threshold"] = calls;
  }
  return json;
}

}  // namespace fettle
