// Sums over a whole array, formed in double precision and in an order that depends on n alone.
#pragma once

#include <cstdint>

#include "kernels/device.h"

namespace fettle {

/// y[0] = scale * sum of x[0..n).
void sum(Cpu, int64_t n, float scale, const float* x, float* y);
void sum(Cuda, int64_t n, float scale, const float* x, float* y);
void sum(Reference, int64_t n, float scale, const float* x, float* y);

/// The way back: y[i] = scale * x[0] for i < n.
void spread(Cpu, int64_t n, float scale, const float* x, float* y);
void spread(Cuda, int64_t n, float scale, const float* x, float* y);
void spread(Reference, int64_t n, float scale, const float* x, float* y);

}  // namespace fettle
