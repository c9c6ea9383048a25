// Batch normalisation over the last axis of [rows,C] (rows = N*H*W).
//
//   y = gamma * (x - mean) * inverse + beta,   inverse = 1 / sqrt(variance + epsilon)
//
// In training, mean and (biased) variance are those of the batch; otherwise they are given.
// Ioffe, Szegedy: "Batch normalization", ICML 2015.
#pragma once

#include <cstdint>

#include "kernels/device.h"

namespace fettle {

struct BatchNormShape {
  int64_t rows = 1, C = 1;
};

/// mean [C] and biased variance [C] of the rows, by sums about a shift near the mean, so that a
/// large mean does not swallow a small deviation.
void batch_norm_statistics(Cpu, const BatchNormShape& shape, const float* x, float* mean,
                           float* variance);
void batch_norm_statistics(Cuda, const BatchNormShape& shape, const float* x, float* mean,
                           float* variance);
void batch_norm_statistics(Reference, const BatchNormShape& shape, const float* x, float* mean,
                           float* variance);

/// y from given statistics.
void batch_norm_apply(Cpu, const BatchNormShape& shape, float epsilon, const float* x,
                      const float* gamma, const float* beta, const float* mean,
                      const float* variance, float* y);
void batch_norm_apply(Cuda, const BatchNormShape& shape, float epsilon, const float* x,
                      const float* gamma, const float* beta, const float* mean,
                      const float* variance, float* y);
void batch_norm_apply(Reference, const BatchNormShape& shape, float epsilon, const float* x,
                      const float* gamma, const float* beta, const float* mean,
                      const float* variance, float* y);

/// dgamma [C] = sum of dy * (x - mean) * inverse, dbeta [C] = sum of dy.
void batch_norm_backward_parameters(Cpu, const BatchNormShape& shape, float epsilon,
                                    const float* dy, const float* x, const float* mean,
                                    const float* variance, float* dgamma, float* dbeta);
void batch_norm_backward_parameters(Cuda, const BatchNormShape& shape, float epsilon,
                                    const float* dy, const float* x, const float* mean,
                                    const float* variance, float* dgamma, float* dbeta);
void batch_norm_backward_parameters(Reference, const BatchNormShape& shape, float epsilon,
                                    const float* dy, const float* x, const float* mean,
                                    const float* variance, float* dgamma, float* dbeta);

/// dx. With `of_batch` the statistics came from x and carry gradients themselves:
///   dx = gamma * inverse * (dy - dbeta / rows - (x - mean) * inverse * dgamma / rows)
/// otherwise dx = gamma * inverse * dy, and dgamma and dbeta are not read.
void batch_norm_backward_input(Cpu, const BatchNormShape& shape, float epsilon, bool of_batch,
                               const float* dy, const float* x, const float* gamma,
                               const float* mean, const float* variance, const float* dgamma,
                               const float* dbeta, float* dx);
void batch_norm_backward_input(Cuda, const BatchNormShape& shape, float epsilon, bool of_batch,
                               const float* dy, const float* x, const float* gamma,
                               const float* mean, const float* variance, const float* dgamma,
                               const float* dbeta, float* dx);
void batch_norm_backward_input(Reference, const BatchNormShape& shape, float epsilon, bool of_batch,
                               const float* dy, const float* x, const float* gamma,
                               const float* mean, const float* variance, const float* dgamma,
                               const float* dbeta, float* dx);

}  // namespace fettle
