// Losses, each with the gradient of its mean.
//
// Categorical cross-entropy from logits z [N,K] and labels [N]:
//   t[k] = (1 - s) * [k == label] + s / K            (s: label smoothing)
//   loss[n] = weight[label] * -sum over k of t[k] * log softmax(z)[k]
// Binary cross-entropy from a logit z and a target t in [0, 1]:
//   t' = t * (1 - s) + s / 2
//   loss[i] = weight * (max(z, 0) - z * t' + log(1 + exp(-|z|)))
//   weight = weights[i % labels][t >= 0.5]
// With a focusing parameter gamma > 0 both weigh each log p of theirs by (1 - p)^gamma, so that
// what is already right counts little (focal loss: Lin et al., ICCV 2017, arXiv 1708.02002; for
// more classes Keras's CategoricalFocalCrossentropy):
//   loss[n] = weight[label] * -sum over k of t[k] * (1 - p[k])^gamma * log p[k],  p = softmax(z)
//   loss[i] = weight * -(t' * (1 - p)^gamma * log p + (1 - t') * p^gamma * log(1 - p)),  p =
//   sigmoid(z)
// All are what Keras computes from logits; their mean divides by the number of elements, whatever
// the weights are (Keras's sum_over_batch_size).
//
// The Tversky family, from probabilities p and targets t, summed over a group of elements:
//   TP = sum p*t,  FN = sum (1-p)*t,  FP = sum p*(1-t)
//   T = (TP + smooth) / (TP + a*FN + b*FP + smooth),   loss = (1 - T)^exponent
// a = b = 1/2 is Dice. Salehi et al., arXiv 1706.05721; Abraham, Khan, arXiv 1810.07842.
#pragma once

#include <cstdint>

#include "kernels/device.h"

namespace fettle {

struct CategoricalShape {
  int64_t N = 1, K = 1;
  float label_smoothing = 0;
  float gamma = 0;
};

/// loss [N]; class_weights [K] may be nullptr.
void categorical_cross_entropy_forward(Cpu, const CategoricalShape& shape, const float* logits,
                                       const int32_t* labels, const float* class_weights,
                                       float* loss);
void categorical_cross_entropy_forward(Cuda, const CategoricalShape& shape, const float* logits,
                                       const int32_t* labels, const float* class_weights,
                                       float* loss);
void categorical_cross_entropy_forward(Reference, const CategoricalShape& shape,
                                       const float* logits, const int32_t* labels,
                                       const float* class_weights, float* loss);

/// dlogits [N,K] of the mean loss, times dloss[0].
void categorical_cross_entropy_backward(Cpu, const CategoricalShape& shape, const float* logits,
                                        const int32_t* labels, const float* class_weights,
                                        const float* dloss, float* dlogits);
void categorical_cross_entropy_backward(Cuda, const CategoricalShape& shape, const float* logits,
                                        const int32_t* labels, const float* class_weights,
                                        const float* dloss, float* dlogits);
void categorical_cross_entropy_backward(Reference, const CategoricalShape& shape,
                                        const float* logits, const int32_t* labels,
                                        const float* class_weights, const float* dloss,
                                        float* dlogits);

struct BinaryShape {
  int64_t n = 1;
  int64_t labels = 1;  ///< that have weights of their own, one after the other
  float label_smoothing = 0;
  float gamma = 0;
};

/// loss [n]; weights [labels,2], of targets below one half and of the others, may be nullptr.
void binary_cross_entropy_forward(Cpu, const BinaryShape& shape, const float* logits,
                                  const float* targets, const float* weights, float* loss);
void binary_cross_entropy_forward(Cuda, const BinaryShape& shape, const float* logits,
                                  const float* targets, const float* weights, float* loss);
void binary_cross_entropy_forward(Reference, const BinaryShape& shape, const float* logits,
                                  const float* targets, const float* weights, float* loss);

/// dlogits [n] of the mean loss, times dloss[0].
void binary_cross_entropy_backward(Cpu, const BinaryShape& shape, const float* logits,
                                   const float* targets, const float* weights, const float* dloss,
                                   float* dlogits);
void binary_cross_entropy_backward(Cuda, const BinaryShape& shape, const float* logits,
                                   const float* targets, const float* weights, const float* dloss,
                                   float* dlogits);
void binary_cross_entropy_backward(Reference, const BinaryShape& shape, const float* logits,
                                   const float* targets, const float* weights, const float* dloss,
                                   float* dlogits);

/// Over which elements TP, FN and FP are summed; the loss is the mean over the groups.
enum class Grouping { batch, picture, channel };

struct TverskyShape {
  int64_t N = 1, pixels = 1, C = 1;  ///< probabilities and targets are [N,pixels,C]
  Grouping grouping = Grouping::batch;
  float false_negative_weight = 0.5f;  ///< a
  float false_positive_weight = 0.5f;  ///< b
  float smooth = 0.5f;
  float exponent = 1;
  /// A group whose targets are all 0 gives no loss and no gradient. Else what little is predicted
  /// there pushes harder than all pixels of the others, and a rare kind is unlearned.
  bool skip_empty = false;

  int64_t groups() const {
    return grouping == Grouping::batch ? 1 : grouping == Grouping::picture ? N : C;
  }
};

/// loss [1], and sums [groups,3]: TP, sum p, sum t of each group, for the backward.
void tversky_forward(Cpu, const TverskyShape& shape, const float* probabilities,
                     const float* targets, float* sums, float* loss);
void tversky_forward(Cuda, const TverskyShape& shape, const float* probabilities,
                     const float* targets, float* sums, float* loss);
void tversky_forward(Reference, const TverskyShape& shape, const float* probabilities,
                     const float* targets, float* sums, float* loss);

/// dprobabilities, times dloss[0]. The power's slope is infinite at T = 1 for an exponent below 1;
/// there 1 - T is taken as at least 1e-6.
void tversky_backward(Cpu, const TverskyShape& shape, const float* targets, const float* sums,
                      const float* dloss, float* dprobabilities);
void tversky_backward(Cuda, const TverskyShape& shape, const float* targets, const float* sums,
                      const float* dloss, float* dprobabilities);
void tversky_backward(Reference, const TverskyShape& shape, const float* targets, const float* sums,
                      const float* dloss, float* dprobabilities);

}  // namespace fettle
