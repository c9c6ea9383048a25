// One row of softmax in the arithmetic T: float for the CPU, double for the reference. Subtracting
// the row's maximum changes nothing and keeps exp from overflowing.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace fettle {

template <class T>
void softmax_row(int64_t K, const float* x, float* y) {
  const T highest = *std::max_element(x, x + K);
  T total = 0;
  for (int64_t k = 0; k < K; ++k) total += std::exp(x[k] - highest);
  for (int64_t k = 0; k < K; ++k) y[k] = static_cast<float>(std::exp(x[k] - highest) / total);
}

template <class T>
void softmax_row_backward(int64_t K, const float* y, const float* dy, float* dx) {
  T dot = 0;
  for (int64_t k = 0; k < K; ++k) dot += static_cast<T>(y[k]) * dy[k];
  for (int64_t k = 0; k < K; ++k) dx[k] = static_cast<float>(y[k] * (dy[k] - dot));
}

}  // namespace fettle
