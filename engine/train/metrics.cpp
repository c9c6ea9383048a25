#include "engine/train/metrics.h"

#include <algorithm>
#include <cmath>

#include "engine/autograd.h"
#include "engine/ops/activation.h"

namespace fettle {
namespace {

constexpr int threshold_count = 200;

/// Keras's thresholds, rising, in the fp32 of the probabilities.
const std::vector<float>& thresholds() {
  static const std::vector<float> values = [] {
    constexpr float beyond = 1e-7f;
    std::vector<float> t = {-beyond};
    for (int i = 1; i < threshold_count - 1; ++i) {
      t.push_back(static_cast<float>(i / static_cast<double>(threshold_count - 1)));
    }
    t.push_back(1 + beyond);
    return t;
  }();
  return values;
}

double ratio(double part, double whole) {
  return whole > 0 ? part / whole : 0;
}

}  // namespace

std::vector<std::vector<float>> probabilities_of(const Tensor& logits) {
  require(logits.shape().rank() == 2, "metrics: logits must be [N,K], not ", logits.shape());
  const NoGrad no_grad;
  const int64_t N = logits.shape()[0], K = logits.shape()[1];
  const std::vector<float> p = (K == 1 ? sigmoid(logits) : softmax(logits)).to_vector();
  std::vector<std::vector<float>> rows;
  for (int64_t n = 0; n < N; ++n) {
    if (K == 1) {
      rows.push_back({1 - p[n], p[n]});
    } else {
      rows.emplace_back(p.begin() + n * K, p.begin() + (n + 1) * K);
    }
  }
  return rows;
}

void MetricsCounter::add(const Tensor& logits, const Tensor& labels, double loss) {
  const auto probabilities = probabilities_of(logits.detach());
  const std::vector<int32_t> truth = labels.to_vector<int32_t>();
  require(probabilities.size() == truth.size(), "metrics: logits ", logits.shape(), " and labels ",
          labels.shape(), " do not fit");
  if (truth.empty()) return;
  const size_t classes = probabilities[0].size();
  one_logit_ = logits.shape()[1] == 1;
  if (confusion_.empty()) {
    const std::vector<int64_t> buckets(threshold_count + 1);
    confusion_.assign(classes, std::vector<int64_t>(classes));
    scores_.assign(classes, {buckets, buckets});
  }
  for (size_t n = 0; n < truth.size(); ++n) {
    const std::vector<float>& row = probabilities[n];
    const size_t label = static_cast<size_t>(truth[n]);
    require(label < classes, "metrics: the label ", truth[n], " is not one of the ", classes,
            " classes");
    const size_t predicted =
        one_logit_ ? static_cast<size_t>(row[1] > 0.5f)
                   : static_cast<size_t>(std::max_element(row.begin(), row.end()) - row.begin());
    ++confusion_[label][predicted];
    for (size_t k = 0; k < classes; ++k) {
      const auto below = std::lower_bound(thresholds().begin(), thresholds().end(), row[k]);
      const auto bucket = static_cast<size_t>(below - thresholds().begin());
      ++(k == label ? scores_[k].positive : scores_[k].negative)[bucket];
    }
  }
  examples_ += static_cast<int64_t>(truth.size());
  loss_sum_ += loss * static_cast<double>(truth.size());
}

double MetricsCounter::area(const ScoreCounts& counts) const {
  double positives = 0, negatives = 0;
  for (size_t i = 0; i < counts.positive.size(); ++i) {
    positives += static_cast<double>(counts.positive[i]);
    negatives += static_cast<double>(counts.negative[i]);
  }
  // From the lowest threshold, above which everything counts as positive, to the highest.
  double true_positives = positives, false_positives = negatives, total = 0;
  double last_tpr = 0, last_fpr = 0;
  for (size_t i = 0; i < threshold_count; ++i) {
    true_positives -= static_cast<double>(counts.positive[i]);
    false_positives -= static_cast<double>(counts.negative[i]);
    const double tpr = ratio(true_positives, positives), fpr = ratio(false_positives, negatives);
    if (i > 0) total += (last_fpr - fpr) * (last_tpr + tpr) / 2;
    last_tpr = tpr;
    last_fpr = fpr;
  }
  return total;
}

double MetricsCounter::accuracy() const {
  int64_t correct = 0;
  for (size_t k = 0; k < confusion_.size(); ++k) correct += confusion_[k][k];
  return ratio(static_cast<double>(correct), static_cast<double>(examples_));
}

Metrics MetricsCounter::result() const {
  Metrics m;
  m.examples = examples_;
  m.loss = ratio(loss_sum_, static_cast<double>(examples_));
  m.confusion = confusion_;
  const size_t classes = confusion_.size();
  for (size_t k = 0; k < classes; ++k) {
    int64_t support = 0, predicted = 0;
    for (size_t j = 0; j < classes; ++j) {
      support += confusion_[k][j];
      predicted += confusion_[j][k];
    }
    const auto hits = static_cast<double>(confusion_[k][k]);
    ClassMetrics c;
    c.support = support;
    c.precision = ratio(hits, static_cast<double>(predicted));
    c.recall = ratio(hits, static_cast<double>(support));
    c.f1 = ratio(2 * c.precision * c.recall, c.precision + c.recall);
    c.auc = area(scores_[k]);
    m.classes.push_back(c);
  }
  m.accuracy = accuracy();
  if (one_logit_ && classes == 2) {
    m.precision = m.classes[1].precision;
    m.recall = m.classes[1].recall;
    m.f1 = m.classes[1].f1;
  } else {
    for (const ClassMetrics& c : m.classes) {
      const double weight = ratio(static_cast<double>(c.support), static_cast<double>(examples_));
      m.precision += weight * c.precision;
      m.recall += weight * c.recall;
      m.f1 += weight * c.f1;
    }
  }
  if (classes == 2) {
    m.auc = m.classes[1].auc;
  } else {
    for (const ClassMetrics& c : m.classes) m.auc += c.auc / static_cast<double>(classes);
  }
  return m;
}

}  // namespace fettle
