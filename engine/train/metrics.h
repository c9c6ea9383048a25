// Figures of a classifier or a segmenter, gathered batch by batch.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "engine/tensor.h"

namespace fettle {

/// The figures of one epoch in the order of history.csv: loss, accuracy, ..., val_loss, ...
using EpochLog = std::vector<std::pair<std::string, double>>;

/// What gathers a model's output and the targets, counting on the device of the logits; memory does
/// not grow with the number of pictures.
class MetricsCounter {
 public:
  virtual ~MetricsCounter() = default;
  /// Adds a batch and the mean loss over it.
  virtual void add(const Tensor& logits, const Tensor& targets, double loss) = 0;
  /// The figures so far, by their names; the names are the same before the first batch.
  virtual EpochLog figures() const = 0;
  /// The one figure to watch, without the cost of the others.
  virtual std::pair<std::string, double> headline() const = 0;
};

struct ClassMetrics {
  double precision = 0, recall = 0, f1 = 0, auc = 0;
  int64_t support = 0;  ///< pictures of the class
};

struct Metrics {
  int64_t examples = 0;
  double loss = 0;  ///< mean over the pictures
  double accuracy = 0, precision = 0, recall = 0, f1 = 0, auc = 0;
  std::vector<ClassMetrics> classes;
  std::vector<std::vector<int64_t>> confusion;  ///< [true class][predicted class]
};

/// Labels i32 [N].
///
/// Logits [N,1] are one sigmoid: class 1 is predicted above probability 0.5, and precision, recall,
/// F1 and AUC are those of class 1, as Keras's Precision, Recall and AUC give them.
/// Logits [N,K] are a softmax: the class with the largest probability is predicted; precision,
/// recall and F1 are the means over the classes weighted by their support (scikit-learn's
/// "weighted"); AUC is that of class 1 for K = 2, else the mean over the classes, each against the
/// rest.
/// AUC is the area under the ROC curve by trapezoids over Keras's 200 thresholds: 198 evenly spaced
/// in (0, 1) and one beyond either end. A ratio whose denominator is 0 is 0.
class ClassMetricsCounter : public MetricsCounter {
 public:
  void add(const Tensor& logits, const Tensor& labels, double loss) override;
  EpochLog figures() const override;
  std::pair<std::string, double> headline() const override { return {"accuracy", accuracy()}; }
  Metrics result() const;
  /// The accuracy so far, without the rest.
  double accuracy() const;

 private:
  double area(const std::vector<int32_t>& scores, size_t k) const;

  bool one_logit_ = false;
  int64_t examples_ = 0;
  double loss_sum_ = 0;
  // On the logits' device, in the layout of kernels/metrics/metrics.h; 2^31 examples are the end.
  Tensor confusion_, scores_, thresholds_;
};

/// Probabilities from logits: [N,1] gives (1 - p, p), [N,K] the softmax; rows of the result are
/// pictures.
std::vector<std::vector<float>> probabilities_of(const Tensor& logits);

}  // namespace fettle
