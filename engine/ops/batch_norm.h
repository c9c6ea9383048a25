// Batch normalisation over the last axis. The equations are in kernels/batch_norm/batch_norm.h.
// The results are pending until they are read: see engine/ops/batch_norm_fusion.h.
#pragma once

#include <optional>

#include "engine/tensor.h"

namespace fettle {

/// Moving statistics [C], f32, that follow those of batches:
/// moving = momentum * moving + (1 - momentum) * batch.
struct MovingStatistics {
  Tensor &mean, &variance;
  float momentum;
};

/// x [...,C] normalised by the batch's own mean and biased variance, which are also written to
/// `mean` and `variance` [C]. Where they are given, moving statistics follow in their place.
Tensor batch_norm_training(const Tensor& x, const Tensor& gamma, const Tensor& beta, float epsilon,
                           Tensor& mean, Tensor& variance,
                           const std::optional<MovingStatistics>& moving = {});

/// x [...,C] normalised by given statistics [C].
Tensor batch_norm_inference(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                            const Tensor& mean, const Tensor& variance, float epsilon);

}  // namespace fettle
