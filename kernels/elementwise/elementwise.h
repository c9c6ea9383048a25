// Elementwise arithmetic on flat fp32 arrays of n elements. An output may be one of the inputs.
#pragma once

#include <cstdint>

#include "kernels/device.h"

namespace fettle {

/// y = a + b.
void add(Cpu, int64_t n, const float* a, const float* b, float* y);
void add(Reference, int64_t n, const float* a, const float* b, float* y);

}  // namespace fettle
