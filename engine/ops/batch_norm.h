// Batch normalisation over the last axis. The equations are in kernels/batch_norm/batch_norm.h.
// The results are pending until they are read: see engine/ops/batch_norm_fusion.h.
#pragma once

#include "engine/tensor.h"

namespace fettle {

/// x [...,C] normalised by the batch's own mean and biased variance, which are also written to
/// `mean` and `variance` [C].
Tensor batch_norm_training(const Tensor& x, const Tensor& gamma, const Tensor& beta, float epsilon,
                           Tensor& mean, Tensor& variance);

/// x [...,C] normalised by given statistics [C].
Tensor batch_norm_inference(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                            const Tensor& mean, const Tensor& variance, float epsilon);

}  // namespace fettle
