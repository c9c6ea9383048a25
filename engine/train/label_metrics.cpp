#include "engine/train/label_metrics.h"

#include "engine/autograd.h"
#include "engine/inference/decision.h"
#include "engine/ops/activation.h"

namespace fettle {
namespace {

double ratio(double part, double whole) {
  return whole > 0 ? part / whole : 0;
}

ClassAverages figures_of(const MaskCounts& c) {
  const auto hits = static_cast<double>(c.true_positives);
  const auto false_alarms = static_cast<double>(c.false_positives);
  const auto missed = static_cast<double>(c.false_negatives);
  return {ratio(hits, hits + false_alarms), ratio(hits, hits + missed),
          ratio(2 * hits, 2 * hits + false_alarms + missed)};
}

void add(ClassAverages& mean, const ClassAverages& figures, double weight) {
  mean.precision += weight * figures.precision;
  mean.recall += weight * figures.recall;
  mean.f1 += weight * figures.f1;
}

void count(MaskCounts& counts, bool has, bool called) {
  ++(has ? (called ? counts.true_positives : counts.false_negatives)
         : (called ? counts.false_positives : counts.true_negatives));
}

}  // namespace

LabelReport label_report(const std::vector<MaskCounts>& counts) {
  LabelReport report;
  MaskCounts all;
  for (const MaskCounts& label : counts) all += label;
  const int64_t positives = all.true_positives + all.false_negatives;
  const int64_t answers = positives + all.false_positives + all.true_negatives;
  report.accuracy = ratio(static_cast<double>(all.true_positives + all.true_negatives),
                          static_cast<double>(answers));
  report.micro = figures_of(all);
  for (const MaskCounts& label : counts) {
    const ClassAverages figures = figures_of(label);
    const int64_t support = label.true_positives + label.false_negatives;
    report.labels.push_back({figures.precision, figures.recall, figures.f1, 0, support});
    add(report.macro, figures, 1 / static_cast<double>(counts.size()));
    add(report.weighted, figures,
        ratio(static_cast<double>(support), static_cast<double>(positives)));
  }
  return report;
}

LabelReport label_report(const ScoreRows& probabilities, const LabelRows& truth, double threshold) {
  require(!truth.empty() && probabilities.size() == truth.size(),
          "label_report: needs pictures, and a row of labels for each");
  const size_t labels = truth.front().size();
  std::vector<MaskCounts> counts(labels);
  ClassAverages samples;
  int64_t exact = 0;
  for (size_t n = 0; n < truth.size(); ++n) {
    require(probabilities[n].size() == labels && truth[n].size() == labels,
            "label_report: picture ", n, " has ", probabilities[n].size(), " probabilities and ",
            truth[n].size(), " labels, not ", labels);
    MaskCounts picture;
    for (size_t k = 0; k < labels; ++k) {
      const bool has = truth[n][k] != 0, called = has_label(probabilities[n][k], threshold);
      count(counts[k], has, called);
      count(picture, has, called);
    }
    exact += picture.false_positives + picture.false_negatives == 0;
    add(samples, figures_of(picture), 1);
  }
  LabelReport report = label_report(counts);
  add(report.samples, samples, 1 / static_cast<double>(truth.size()));
  report.exact_match = ratio(static_cast<double>(exact), static_cast<double>(truth.size()));
  return report;
}

std::vector<double> LabelMetricsCounter::areas() const {
  std::vector<double> areas(counts_.kinds().size());
  std::vector<double> last_tpr(areas.size()), last_fpr(areas.size());
  // From above the highest threshold, where nothing is predicted, down to 0.
  const std::vector<std::vector<MaskCounts>> steps = counts_.counts_of_steps();
  for (size_t step = steps.size(); step-- > 0;) {
    const std::vector<MaskCounts>& counts = steps[step];
    for (size_t k = 0; k < areas.size(); ++k) {
      const auto hits = static_cast<double>(counts[k].true_positives);
      const auto false_alarms = static_cast<double>(counts[k].false_positives);
      const double tpr = ratio(hits, hits + static_cast<double>(counts[k].false_negatives));
      const double fpr =
          ratio(false_alarms, false_alarms + static_cast<double>(counts[k].true_negatives));
      areas[k] += (fpr - last_fpr[k]) * (tpr + last_tpr[k]) / 2;
      last_tpr[k] = tpr;
      last_fpr[k] = fpr;
    }
  }
  return areas;
}

double LabelMetricsCounter::auc() const {
  const std::vector<double> each = areas();
  const std::vector<MaskCounts> counts = counts_.counts();
  double sum = 0;
  int64_t told = 0;
  for (size_t k = 0; k < each.size(); ++k) {
    const bool some_have = counts[k].true_positives + counts[k].false_negatives > 0;
    const bool some_have_not = counts[k].false_positives + counts[k].true_negatives > 0;
    if (!some_have || !some_have_not) continue;
    sum += each[k];
    ++told;
  }
  return ratio(sum, static_cast<double>(told));
}

EpochLog LabelMetricsCounter::figures() const {
  const LabelReport r = report();
  EpochLog log = {{"loss", loss()}, {"accuracy", r.accuracy}};
  const auto append = [&](const std::string& of, const auto& figures) {
    log.emplace_back(of + "precision", figures.precision);
    log.emplace_back(of + "recall", figures.recall);
    log.emplace_back(of + "f1", figures.f1);
  };
  append("micro_", r.micro);
  append("macro_", r.macro);
  log.emplace_back("auc", auc());
  const std::vector<double> each = areas();
  for (size_t k = 0; k < each.size(); ++k) {
    const std::string name = figure_name(counts_.kinds()[k]) + "_";
    append(name, r.labels[k]);
    log.emplace_back(name + "auc", each[k]);
  }
  return log;
}

std::pair<std::string, double> LabelMetricsCounter::headline() const {
  return {"accuracy", report().accuracy};
}

ScoreRows label_probabilities_of(const Tensor& logits) {
  require(logits.shape().rank() == 2, "metrics: logits must be [N,K], not ", logits.shape());
  const NoGrad no_grad;
  const int64_t N = logits.shape()[0], K = logits.shape()[1];
  const std::vector<float> p = sigmoid(logits).to_vector();
  ScoreRows rows;
  for (int64_t n = 0; n < N; ++n) rows.emplace_back(p.begin() + n * K, p.begin() + (n + 1) * K);
  return rows;
}

}  // namespace fettle
