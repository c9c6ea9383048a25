#include "engine/ops/losses.h"

#include <algorithm>
#include <utility>

#include "engine/autograd.h"
#include "engine/cuda_graph.h"
#include "engine/ops/reduce.h"

namespace fettle {
namespace {

/// The elements of i32 labels, on the host.
RecycledVector<int32_t> values_of(const Tensor& labels) {
  const Tensor here = labels.to(Device::cpu());
  const int32_t* const first = here.data<int32_t>();
  return {first, first + here.size()};
}

/// i32 labels on `device`. Those that are on the host are looked at; those on a GPU are trusted,
/// since reading them back would stop it at every step.
Tensor as_labels(const Tensor& given, int64_t classes, Device device) {
  if (given.device().is_cuda()) return given.to(device);
  const auto checked = [given, classes] {
    const RecycledVector<int32_t> labels = values_of(given);
    for (const int32_t label : labels) {
      require(label >= 0 && label < classes, "sparse_categorical_cross_entropy: the label ", label,
              " is not one of the ", classes, " classes");
    }
    return labels;
  };
  return host_made<int32_t>(given.shape(), device, checked);
}

/// i32 labels as f32 numbers of the logits' shape, on their device.
Tensor as_targets(const Tensor& targets, const Tensor& logits) {
  if (targets.dtype() == DType::f32) return targets.to(logits.device());
  return host_made<float>(logits.shape(), logits.device(), [targets] {
    const RecycledVector<int32_t> labels = values_of(targets);
    return RecycledVector<float>(labels.begin(), labels.end());
  });
}

/// The mean of per-element losses, whose gradient by `logits` is one kernel.
template <class BackwardKernel>
Tensor mean_loss(const Tensor& losses, const Tensor& logits, const BackwardKernel& kernel) {
  return record(mean(losses), {logits}, [=](const Tensor& dy, Grads& grads) {
    on(dy.device(), [&](auto device) { kernel(device, dy.data(), grads.fresh(0)); });
  });
}

}  // namespace

Tensor sparse_categorical_cross_entropy(const Tensor& logits, const Tensor& given_labels,
                                        const std::vector<float>& class_weights,
                                        float label_smoothing, float focal_gamma) {
  require(logits.shape().rank() == 2 && given_labels.shape() == Shape{logits.shape()[0]},
          "sparse_categorical_cross_entropy: logits ", logits.shape(), " and labels ",
          given_labels.shape(), " do not fit; they must be [N,K] and [N]");
  const CategoricalShape s{logits.shape()[0], logits.shape()[1], label_smoothing, focal_gamma};
  require(class_weights.empty() || static_cast<int64_t>(class_weights.size()) == s.K,
          "sparse_categorical_cross_entropy: ", class_weights.size(), " class weights for ", s.K,
          " classes");
  Tensor weights;
  if (!class_weights.empty()) weights = Tensor::from({s.K}, class_weights, logits.device());
  const Tensor labels = as_labels(given_labels, s.K, logits.device());
  const Tensor z = logits.detach();
  Tensor losses = Tensor::empty({s.N}, DType::f32, z.device());
  on(z.device(), [&](auto device) {
    categorical_cross_entropy_forward(device, s, z.data(), labels.data<int32_t>(),
                                      std::as_const(weights).data(), losses.data());
  });
  return mean_loss(losses, logits, [=](auto device, const float* dloss, float* dlogits) {
    categorical_cross_entropy_backward(device, s, z.data(), labels.data<int32_t>(), weights.data(),
                                       dloss, dlogits);
  });
}

Tensor binary_cross_entropy(const Tensor& logits, const Tensor& targets,
                            const std::vector<float>& class_weights, float label_smoothing,
                            float focal_gamma) {
  require(logits.size() == targets.size() &&
              (logits.shape() == targets.shape() || targets.dtype() == DType::i32),
          "binary_cross_entropy: logits ", logits.shape(), " and targets ", targets.shape(),
          " do not fit");
  const int64_t labels = std::max<int64_t>(1, std::ssize(class_weights) / 2);
  require(class_weights.empty() || (std::ssize(class_weights) == 2 * labels &&
                                    (labels == 1 || labels == logits.shape()[-1])),
          "binary_cross_entropy: takes two class weights, or two for each label, not ",
          class_weights.size(), " for logits ", logits.shape());
  const BinaryShape s{logits.size(), labels, label_smoothing, focal_gamma};
  Tensor weights;
  if (!class_weights.empty()) weights = Tensor::from({labels, 2}, class_weights, logits.device());
  const Tensor z = logits.detach(), t = as_targets(targets, logits);
  Tensor losses = Tensor::empty({s.n}, DType::f32, z.device());
  on(z.device(), [&](auto device) {
    binary_cross_entropy_forward(device, s, z.data(), t.data(), std::as_const(weights).data(),
                                 losses.data());
  });
  return mean_loss(losses, logits, [=](auto device, const float* dloss, float* dlogits) {
    binary_cross_entropy_backward(device, s, z.data(), t.data(), weights.data(), dloss, dlogits);
  });
}

Tensor tversky_loss(const Tensor& probabilities, const Tensor& given_targets,
                    const TverskyOptions& options) {
  const Tensor targets = given_targets.to(probabilities.device());
  require(probabilities.shape() == targets.shape() && probabilities.shape().rank() >= 2,
          "tversky_loss: probabilities ", probabilities.shape(), " and targets ", targets.shape(),
          " do not fit; both must be [N,...,C]");
  const int64_t N = probabilities.shape()[0], C = probabilities.shape()[-1];
  require(probabilities.size() > 0, "tversky_loss: the batch is empty");
  const TverskyShape s{.N = N,
                       .pixels = probabilities.size() / (N * C),
                       .C = C,
                       .grouping = options.grouping,
                       .false_negative_weight = options.false_negative_weight,
                       .false_positive_weight = options.false_positive_weight,
                       .smooth = options.smooth,
                       .exponent = options.exponent,
                       .skip_empty = options.skip_empty};
  const Device device = probabilities.device();
  Tensor loss = Tensor::empty({1}, DType::f32, device);
  Tensor sums = Tensor::empty({s.groups(), 3}, DType::f32, device);
  on(device, [&](auto tag) {
    tversky_forward(tag, s, probabilities.data(), targets.data(), sums.data(), loss.data());
  });
  return record(
      std::move(loss), {probabilities}, [s, sums, targets](const Tensor& dy, Grads& grads) {
        on(dy.device(), [&](auto tag) {
          tversky_backward(tag, s, targets.data(), sums.data(), dy.data(), grads.fresh(0));
        });
      });
}

Tensor focal_tversky_loss(const Tensor& probabilities, const Tensor& targets, float exponent,
                          TverskyOptions options) {
  options.exponent = exponent;
  return tversky_loss(probabilities, targets, options);
}

Tensor dice_loss(const Tensor& probabilities, const Tensor& targets, Grouping grouping,
                 float smooth, bool skip_empty) {
  return tversky_loss(probabilities, targets,
                      {.grouping = grouping,
                       .false_negative_weight = 0.5f,
                       .false_positive_weight = 0.5f,
                       .smooth = smooth / 2,
                       .skip_empty = skip_empty});
}

}  // namespace fettle
