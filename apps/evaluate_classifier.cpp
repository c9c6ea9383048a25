// fettle evaluate of a classifier: the report, the curves, and whether its probabilities are true.
#include <cmath>
#include <map>
#include <sstream>

#include "apps/evaluation.h"
#include "apps/table.h"
#include "engine/argument_error.h"
#include "engine/ops/arithmetic.h"

namespace fettle {
namespace {

/// What the model says of the pictures that could be read, and their names.
std::pair<Judged, std::vector<std::string>> judge(const EvaluateOptions& o, Subject& subject) {
  std::map<std::string, int32_t> labels;
  for (const Example& example : subject.data.examples) labels[example.path] = example.label;
  Logits all = logits_of(subject.model, subject.data.examples, o, subject.device);
  require(all.values.defined(), "none of the pictures could be read");
  Judged judged{all.values, {}};
  for (const std::string& path : all.paths) judged.labels.push_back(labels[path]);
  return {std::move(judged), std::move(all.paths)};
}

Tensor tensor_of(const std::vector<int32_t>& labels) {
  return Tensor::from({std::ssize(labels)}, labels);
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

std::vector<JudgedPicture> pictures_of(const RunConfig& config,
                                       const std::vector<std::string>& paths, const ScoreRows& rows,
                                       const std::vector<int32_t>& labels) {
  std::vector<JudgedPicture> pictures;
  for (size_t n = 0; n < rows.size(); ++n) {
    std::vector<bool> truth(rows[n].size());
    truth[static_cast<size_t>(labels[n])] = true;
    pictures.push_back({paths[n], rows[n], std::move(truth), answers(config, rows[n])});
  }
  return pictures;
}

/// How the run calls pictures of two classes with its threshold: `at_threshold` of metrics.json.
Json judge_calls(const RunConfig& config, const std::vector<JudgedPicture>& pictures,
                 std::ostream& out) {
  Calls calls;
  std::vector<std::vector<int64_t>> confusion(2, std::vector<int64_t>(2));
  for (const JudgedPicture& picture : pictures) {
    calls.add(picture.truth[1], picture.called[1]);
    ++confusion[picture.truth[1]][picture.called[1]];
  }
  calls.print(out, config.class_names[1], config.threshold);
  Json json = calls.json();
  const ClassificationReport report = classification_report(confusion);
  for (size_t k = 0; k < 2; ++k) {
    const ClassMetrics& c = report.classes[k];
    json["classes"][config.class_names[k]] = json_of(ClassAverages{c.precision, c.recall, c.f1});
  }
  json["confusion_matrix"] = confusion;
  return json;
}

/// The threshold that the goal asks for, from the probabilities of class 1.
ThresholdChoice chosen_threshold(const ScoreRows& rows, const std::vector<int32_t>& labels,
                                 const std::string& goal) {
  std::vector<float> probabilities;
  std::vector<bool> positive;
  for (size_t i = 0; i < rows.size(); ++i) {
    probabilities.push_back(rows[i][1]);
    positive.push_back(labels[i] == 1);
  }
  return choose_threshold(probabilities, positive, goal_of(goal));
}

}  // namespace

Json calibrate(TrainedModel& model, Judged& judged, std::ostream& out) {
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
  out << "temperature " << fixed(config.temperature, 4) << ": expected calibration error "
      << fixed(before, 4) << " before, " << fixed(after, 4) << " after\n\n";
  return {{"temperature", config.temperature},
          {"expected_calibration_error_before", before},
          {"expected_calibration_error_after", after}};
}

Evaluation evaluate_classifier(const EvaluateOptions& o, Subject& subject) {
  const std::vector<std::string>& names = subject.data.names;
  RunConfig& config = subject.model.config;
  const bool two_classes = names.size() == 2;
  require_argument(two_classes || o.choose.empty(),
                   "--choose-threshold needs a run of two classes, not ", names.size());
  auto [judged, paths] = judge(o, subject);
  Evaluation e;
  std::ostringstream text;
  Json calibration;
  if (o.calibrate) calibration = calibrate(subject.model, judged, text);
  const ScoreRows rows = judged.probabilities();
  if (!o.choose.empty()) choose(config, chosen_threshold(rows, judged.labels, o.choose), o.choose);

  ClassMetricsCounter counter;
  const Tensor labels = tensor_of(judged.labels);
  counter.add(judged.logits, labels, cross_entropy()(judged.logits, labels).item());
  const Metrics metrics = counter.result();
  const ClassificationReport report = classification_report(metrics.confusion);
  e.judged = pictures_of(config, paths, rows, judged.labels);
  e.curves = curves_of(e.judged, names.size());
  e.calibration = calibration_bins(rows, judged.labels);
  print(text, metrics, report, e.curves, names);

  e.metrics = json_of(metrics, report, e.curves, names);
  e.metrics["expected_calibration_error"] = expected_calibration_error(rows, judged.labels);
  if (o.calibrate) e.metrics["calibration"] = calibration;
  if (two_classes) {
    const Json calls = judge_calls(config, e.judged, text);
    e.metrics["threshold"] = config.threshold;
    e.metrics["at_threshold"] = calls;
  }
  e.text = text.str();
  return e;
}

}  // namespace fettle
