#include "engine/train/metrics.h"

#include <algorithm>
#include <utility>

#include "engine/autograd.h"
#include "engine/ops/activation.h"
#include "engine/train/classification_report.h"
#include "kernels/metrics/metrics.h"

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

void ClassMetricsCounter::add(const Tensor& given_logits, const Tensor& given_labels, double loss) {
  const NoGrad no_grad;
  const Tensor logits = given_logits.detach();
  require(logits.shape().rank() == 2 && given_labels.shape() == Shape{logits.shape()[0]},
          "metrics: logits ", logits.shape(), " and labels ", given_labels.shape(),
          " do not fit; they must be [N,K] and [N]");
  const Device device = logits.device();
  const int64_t N = logits.shape()[0];
  if (N == 0) return;
  one_logit_ = logits.shape()[1] == 1;
  const CountShape s = {N, one_logit_ ? 2 : logits.shape()[1], one_logit_, threshold_count};
  if (!given_labels.device().is_cuda()) {
    for (const int32_t label : given_labels.to_vector<int32_t>()) {
      require(label >= 0 && label < s.classes, "metrics: the label ", label, " is not one of the ",
              s.classes, " classes");
    }
  }
  if (!confusion_.defined()) {
    confusion_ = Tensor::zeros({s.classes, s.classes}, DType::i32, device);
    scores_ = Tensor::zeros({s.classes, 2, threshold_count + 1}, DType::i32, device);
    thresholds_ = Tensor::from({threshold_count}, thresholds(), device);
  }
  const Tensor labels = given_labels.to(device);
  const Tensor p = one_logit_ ? sigmoid(logits) : softmax(logits);
  on(device, [&](auto tag) {
    count_predictions(tag, s, p.data(), labels.data<int32_t>(), std::as_const(thresholds_).data(),
                      confusion_.data<int32_t>(), scores_.data<int32_t>());
  });
  examples_ += N;
  loss_sum_ += loss * static_cast<double>(N);
}

double ClassMetricsCounter::area(const std::vector<int32_t>& scores, size_t k) const {
  const int32_t* negative = scores.data() + 2 * k * (threshold_count + 1);
  const int32_t* positive = negative + threshold_count + 1;
  double positives = 0, negatives = 0;
  for (int i = 0; i <= threshold_count; ++i) {
    positives += positive[i];
    negatives += negative[i];
  }
  // From the lowest threshold, above which everything counts as positive, to the highest.
  double true_positives = positives, false_positives = negatives, total = 0;
  double last_tpr = 0, last_fpr = 0;
  for (int i = 0; i < threshold_count; ++i) {
    true_positives -= positive[i];
    false_positives -= negative[i];
    const double tpr = ratio(true_positives, positives), fpr = ratio(false_positives, negatives);
    if (i > 0) total += (last_fpr - fpr) * (last_tpr + tpr) / 2;
    last_tpr = tpr;
    last_fpr = fpr;
  }
  return total;
}

double ClassMetricsCounter::accuracy() const {
  if (examples_ == 0) return 0;
  const std::vector<int32_t> counts = confusion_.to_vector<int32_t>();
  const auto classes = static_cast<size_t>(confusion_.shape()[0]);
  int64_t correct = 0;
  for (size_t k = 0; k < classes; ++k) correct += counts[k * classes + k];
  return ratio(static_cast<double>(correct), static_cast<double>(examples_));
}

EpochLog ClassMetricsCounter::figures() const {
  const Metrics m = result();
  return {{"loss", m.loss},
          {"accuracy", m.accuracy},
          {"precision", m.precision},
          {"recall", m.recall},
          {"f1", m.f1},
          {"auc", m.auc}};
}

Metrics ClassMetricsCounter::result() const {
  Metrics m;
  m.examples = examples_;
  m.loss = ratio(loss_sum_, static_cast<double>(examples_));
  if (examples_ == 0) return m;
  const auto classes = static_cast<size_t>(confusion_.shape()[0]);
  const std::vector<int32_t> counts = confusion_.to_vector<int32_t>();
  const std::vector<int32_t> scores = scores_.to_vector<int32_t>();
  for (size_t k = 0; k < classes; ++k) {
    m.confusion.emplace_back(counts.begin() + static_cast<std::ptrdiff_t>(k * classes),
                             counts.begin() + static_cast<std::ptrdiff_t>((k + 1) * classes));
  }
  const ClassificationReport report = classification_report(m.confusion);
  m.classes = report.classes;
  for (size_t k = 0; k < classes; ++k) m.classes[k].auc = area(scores, k);
  m.accuracy = report.accuracy;
  const bool one_class = one_logit_ && classes == 2;
  m.precision = one_class ? m.classes[1].precision : report.weighted.precision;
  m.recall = one_class ? m.classes[1].recall : report.weighted.recall;
  m.f1 = one_class ? m.classes[1].f1 : report.weighted.f1;
  if (classes == 2) {
    m.auc = m.classes[1].auc;
  } else {
    for (const ClassMetrics& c : m.classes) m.auc += c.auc / static_cast<double>(classes);
  }
  return m;
}

}  // namespace fettle
