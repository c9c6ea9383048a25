// Batch statistics from sums that the kernel which computed x has formed by the way.
#pragma once

#include "kernels/batch_norm/batch_norm.h"

namespace fettle {

/// mean [C] and biased variance [C] of all rows, from `moments` [parts,2,C]: for each part of the
/// rows the sums of x and of its squares.
void batch_norm_statistics(Cuda, const BatchNormShape& shape, const double* moments, int64_t parts,
                           float* mean, float* variance, const BatchNormMoving& moving);

}  // namespace fettle
