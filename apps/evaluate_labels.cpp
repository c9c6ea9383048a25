// fettle evaluate of a classifier that gives several labels a picture.
#include <algorithm>
#include <map>
#include <sstream>

#include "apps/evaluation.h"
#include "apps/table.h"
#include "engine/train/label_metrics.h"

namespace fettle {
namespace {

/// Every label of every picture as a yes or no of its own, picture by picture.
struct Answers {
  std::vector<std::string> paths;
  LabelRows truth;  // by picture
  Judged each;      // logits [N*labels,1]

  Tensor logits() const {
    const int64_t N = std::ssize(truth);
    return each.logits.view({N, each.logits.size() / N});
  }
};

Answers answers_of(const EvaluateOptions& o, Subject& subject) {
  std::map<std::string, std::vector<uint8_t>> labels;
  for (const Example& example : subject.data.examples) labels[example.path] = example.labels;
  Logits all = logits_of(subject.model, subject.data.examples, o, subject.device);
  require(all.values.defined(), "none of the pictures could be read");
  Answers answers{std::move(all.paths), {}, {all.values.view({all.values.size(), 1}), {}}};
  for (const std::string& path : answers.paths) {
    answers.truth.push_back(labels[path]);
    for (const uint8_t label : labels[path]) answers.each.labels.push_back(label);
  }
  return answers;
}

/// The threshold of all labels together.
ThresholdChoice chosen_threshold(const EvaluateOptions& o, const Judged& each) {
  std::vector<float> probabilities;
  std::vector<bool> positive;
  for (const std::vector<float>& row : each.probabilities()) probabilities.push_back(row[1]);
  for (const int32_t label : each.labels) positive.push_back(label == 1);
  require(std::find(positive.begin(), positive.end(), true) != positive.end(),
          "none of the validation pictures has a label to choose a threshold by");
  return choose_threshold(probabilities, positive, goal_of(o.choose));
}

std::vector<JudgedPicture> pictures_of(const RunConfig& config, const Answers& all,
                                       const ScoreRows& rows) {
  std::vector<JudgedPicture> pictures;
  for (size_t n = 0; n < rows.size(); ++n)
    pictures.push_back({all.paths[n],
                        rows[n],
                        {all.truth[n].begin(), all.truth[n].end()},
                        answers(config, rows[n])});
  return pictures;
}

void print(std::ostream& out, const LabelReport& report, const std::vector<Curves>& curves,
           const std::vector<std::string>& names) {
  std::vector<std::vector<std::string>> rows;
  int64_t support = 0;
  for (size_t k = 0; k < names.size(); ++k) {
    const ClassMetrics& c = report.labels[k];
    rows.push_back({names[k], fixed(c.precision, 4), fixed(c.recall, 4), fixed(c.f1, 4),
                    fixed(curves[k].roc_auc, 4), fixed(curves[k].average_precision, 4),
                    with_commas(c.support)});
    support += c.support;
  }
  const auto add = [&](const char* name, const ClassAverages& mean) {
    rows.push_back({name, fixed(mean.precision, 4), fixed(mean.recall, 4), fixed(mean.f1, 4), "",
                    "", with_commas(support)});
  };
  add("micro avg", report.micro);
  add("macro avg", report.macro);
  add("weighted avg", report.weighted);
  add("samples avg", report.samples);
  print_table(out, {"label", "precision", "recall", "f1", "auc", "avg precision", "pictures"},
              rows);
}

Json json_of(const LabelReport& report, const LabelMetricsCounter& counter,
             const std::vector<Curves>& curves, const std::vector<std::string>& names) {
  const std::vector<double> areas = counter.areas();
  Json classes;
  for (size_t k = 0; k < names.size(); ++k) {
    const ClassMetrics& c = report.labels[k];
    classes[names[k]] = {{"precision", c.precision},
                         {"recall", c.recall},
                         {"f1", c.f1},
                         {"auc", areas[k]},
                         {"roc_auc", curves[k].roc_auc},
                         {"average_precision", curves[k].average_precision},
                         {"support", c.support}};
  }
  return {{"loss", counter.loss()},
          {"accuracy", report.accuracy},
          {"exact_match", report.exact_match},
          {"auc", counter.auc()},
          {"classes", classes},
          {"micro_avg", json_of(report.micro)},
          {"macro_avg", json_of(report.macro)},
          {"weighted_avg", json_of(report.weighted)},
          {"samples_avg", json_of(report.samples)}};
}

}  // namespace

Evaluation evaluate_labels(const EvaluateOptions& o, Subject& subject) {
  const std::vector<std::string>& names = subject.data.names;
  RunConfig& config = subject.model.config;
  Answers all = answers_of(o, subject);
  Evaluation e;
  std::ostringstream text;
  Json calibration;
  if (o.calibrate) calibration = calibrate(subject.model, all.each, text);
  if (!o.choose.empty()) choose(config, chosen_threshold(o, all.each), o.choose);
  const double threshold = config.threshold;

  const Tensor logits = all.logits();
  const std::vector<float> yes(all.each.labels.begin(), all.each.labels.end());
  const Tensor targets = Tensor::from(logits.shape(), yes);
  LabelMetricsCounter counter(names);
  counter.add(logits, targets, cross_entropy()(logits, targets).item());
  const ScoreRows rows = label_probabilities_of(logits), each = all.each.probabilities();
  const LabelReport report = label_report(rows, all.truth, threshold);
  e.judged = pictures_of(config, all, rows);
  e.curves = curves_of(e.judged, names.size());
  e.calibration = calibration_bins(each, all.each.labels);
  print(text, report, e.curves, names);
  text << "labels from threshold " << threshold << " on: accuracy " << fixed(report.accuracy, 4)
       << " of each label, " << fixed(report.exact_match, 4)
       << " of pictures with all labels right; loss " << fixed(counter.loss(), 4) << "\n";

  e.metrics = json_of(report, counter, e.curves, names);
  for (size_t k = 0; k < names.size(); ++k) {
    Calls calls;
    for (const JudgedPicture& picture : e.judged) calls.add(picture.truth[k], picture.called[k]);
    Json& label = e.metrics["classes"][names[k]];
    label["found"] = calls.found;
    label["missed"] = calls.missed;
    label["false_alarms"] = calls.false_alarms;
  }
  Calls any;
  const auto holds = [](const std::vector<bool>& labels) {
    return std::find(labels.begin(), labels.end(), true) != labels.end();
  };
  for (const JudgedPicture& picture : e.judged)
    any.add(holds(picture.truth), holds(picture.called));
  any.print(text, "Pictures with any label", threshold);
  e.metrics["pictures"] = any.json();
  e.metrics["examples"] = all.truth.size();
  e.metrics["threshold"] = threshold;
  e.metrics["expected_calibration_error"] = expected_calibration_error(each, all.each.labels);
  if (o.calibrate) e.metrics["calibration"] = calibration;
  e.text = text.str();
  return e;
}

}  // namespace fettle
