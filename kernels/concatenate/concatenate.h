// Copies between a tensor and a range of channels of a wider one: joining along the last axis, and
// its way back.
#pragma once

#include <cstdint>

#include "kernels/device.h"

namespace fettle {

/// to[i*to_width + k] = from[i*from_width + k] for i < rows, k < width; T is float or bf16.
void copy_columns(Cpu, int64_t rows, int64_t width, const float* from, int64_t from_width,
                  float* to, int64_t to_width);
template <class T>
void copy_columns(Cuda, int64_t rows, int64_t width, const T* from, int64_t from_width, T* to,
                  int64_t to_width);
void copy_columns(Reference, int64_t rows, int64_t width, const float* from, int64_t from_width,
                  float* to, int64_t to_width);

}  // namespace fettle
