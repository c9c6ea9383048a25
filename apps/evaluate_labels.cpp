// fettle evaluate of a classifier that gives several labels a picture.
#include <iostream>
#include <map>

#include "apps/curve_files.h"
#include "apps/evaluation.h"
#include "apps/table.h"
#include "engine/train/label_metrics.h"

namespace fettle {
namespace {

/// Every label of every picture as a yes or no of its own, picture by picture.
struct Answers {
  int64_t labels = 0;
  LabelRows truth;  // by picture
  Judged each;      // logits [N*labels,1]

  Tensor logits() const { return each.logits.view({std::ssize(truth), labels}); }
};

Answers answers_of(const EvaluateOptions& o, TrainedModel& model, const Data& data, Device device) {
  std::map<std::string, std::vector<uint8_t>> labels;
  for (const Example& example : data.examples) labels[example.path] = example.labels;
  const Logits all = logits_of(model, data.examples, o, device);
  require(all.values.defined(), "none of the pictures could be read");
  Answers answers{std::ssize(data.names), {}, {all.values.view({all.values.size(), 1}), {}}};
  for (const std::string& path : all.paths) {
    answers.truth.push_back(labels[path]);
    for (const uint8_t label : labels[path]) answers.each.labels.push_back(label);
  }
  return answers;
}

/// The threshold of all labels together.
double chosen_threshold(const EvaluateOptions& o, const Judged& each) {
  std::vector<float> probabilities;
  std::vector<bool> positive;
  for (const std::vector<float>& row : each.probabilities()) probabilities.push_back(row[1]);
  for (const int32_t label : each.labels) positive.push_back(label == 1);
  require(std::find(positive.begin(), positive.end(), true) != positive.end(),
          "none of the validation pictures has a label to choose a threshold by");
  return choose_threshold(probabilities, positive, goal_of(o.choose)).threshold;
}

std::vector<Curves> label_curves(const ScoreRows& rows, const LabelRows& truth, size_t labels) {
  std::vector<Curves> curves;
  for (size_t k = 0; k < labels; ++k) {
    std::vector<float> probabilities;
    std::vector<bool> positive;
    for (size_t n = 0; n < rows.size(); ++n) {
      probabilities.push_back(rows[n][k]);
      positive.push_back(truth[n][k] != 0);
    }
    curves.push_back(curves_of(probabilities, positive));
  }
  return curves;
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

Json evaluate_labels(const EvaluateOptions& o, TrainedModel& model, const Data& data,
                     Device device) {
  Answers answers = answers_of(o, model, data, device);
  Json calibration;
  if (o.calibrate) calibration = calibrate(model, answers.each);
  if (!o.choose.empty()) model.config.threshold = chosen_threshold(o, answers.each);
  const double threshold = model.config.threshold;

  const Tensor logits = answers.logits();
  const std::vector<float> yes(answers.each.labels.begin(), answers.each.labels.end());
  const Tensor targets = Tensor::from(logits.shape(), yes);
  LabelMetricsCounter counter(data.names);
  counter.add(logits, targets, cross_entropy()(logits, targets).item());
  const ScoreRows rows = label_probabilities_of(logits);
  const LabelReport report = label_report(rows, answers.truth, threshold);
  const std::vector<Curves> curves = label_curves(rows, answers.truth, data.names.size());
  print(std::cout, report, curves, data.names);
  std::cout << "labels from threshold " << threshold << " on: accuracy "
            << fixed(report.accuracy, 4) << " of each label, " << fixed(report.exact_match, 4)
            << " of pictures with all labels right; loss " << fixed(counter.loss(), 4) << "\n";
  write_curves(o.folder(), data.names, curves);

  Json json = json_of(report, counter, curves, data.names);
  json["examples"] = answers.truth.size();
  json["threshold"] = threshold;
  json["expected_calibration_error"] =
      expected_calibration_error(answers.each.probabilities(), answers.each.labels);
  if (o.calibrate) json["calibration"] = calibration;
  return json;
}

}  // namespace fettle
