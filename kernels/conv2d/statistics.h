// A convolution along with the batch statistics of its outputs, for the batch-norm after it.
#pragma once

#include "kernels/batch_norm/batch_norm.h"
#include "kernels/conv2d/plan.h"

namespace fettle {

/// y = x * w + bias, as conv2d_forward, and mean and variance [K] of its pixels, as
/// batch_norm_statistics gives them: of y as it is stored. Rung 6 forms their sums while it has y
/// in registers, unless it cuts its own sum; after others y is read again.
template <class T>
void conv2d_forward_statistics(Cuda, const Conv2dShape& shape, const T* x, const T* w,
                               const float* bias, T* y, float* mean, float* variance,
                               const BatchNormMoving& moving = {});
/// By `plan`.
template <class T>
void conv2d_forward_statistics(Cuda, const Conv2dPlan& plan, const Conv2dShape& shape, const T* x,
                               const T* w, const float* bias, T* y, float* mean, float* variance,
                               const BatchNormMoving& moving = {});

}  // namespace fettle
