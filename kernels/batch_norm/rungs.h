// The rungs of the reductions of batch normalisation on the GPU; tests and benchmarks run each.
#pragma once

#include "kernels/batch_norm/batch_norm.h"

namespace fettle {

enum class BatchNormRung { column_a_thread, two_stage };

/// A pure function: two_stage, except where there are too few rows to share.
BatchNormRung plan_batch_norm(const BatchNormShape& shape);

template <class T>
void batch_norm_statistics(Cuda, BatchNormRung rung, const BatchNormShape& shape, const T* x,
                           float* mean, float* variance, const BatchNormMoving& moving = {});
template <class T>
void batch_norm_backward_parameters(Cuda, BatchNormRung rung, const BatchNormShape& shape,
                                    const BatchNormSum<T>& sum, const T* dy,
                                    const BatchNormGradients& gradients);

}  // namespace fettle
