// Dropout with a mask that is drawn again in the backward pass instead of being stored.
//
//   y[i] = x[i] / (1 - rate) where u(key, i) >= rate, else 0;  u uniform in [0, 1) by Philox
//
// Srivastava et al.: "Dropout", JMLR 15, 2014 (the inverted form).
#pragma once

#include <cstdint>

#include "kernels/device.h"
#include "kernels/philox.h"

namespace fettle {

/// Forward with x, backward with dy in its place: the map is the same. 0 <= rate < 1; T is float or
/// bf16. Where `step` is not nullptr, the key's step is read from there (a CUDA graph stays, its
/// steps go on).
void dropout(Cpu, int64_t n, float rate, RandomKey key, const float* x, float* y,
             const int32_t* step = nullptr);
template <class T>
void dropout(Cuda, int64_t n, float rate, RandomKey key, const T* x, T* y,
             const int32_t* step = nullptr);
void dropout(Reference, int64_t n, float rate, RandomKey key, const float* x, float* y,
             const int32_t* step = nullptr);

}  // namespace fettle
