// Reproducible random inputs for tests.
#pragma once

#include <cmath>
#include <random>
#include <vector>

#include "engine/tensor.h"

namespace fettle {

/// `count` normal values with deviation 1.
inline std::vector<float> random_values(int64_t count, uint32_t seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = normal(engine);
  return values;
}

inline Tensor random_tensor(const Shape& shape, uint32_t seed) {
  return Tensor::from(shape, random_values(shape.size(), seed));
}

/// ||a - b|| / ||b||; infinite where a holds NaN or the sizes differ.
inline double relative_error(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0, norm = 0;
  if (a.size() != b.size()) return INFINITY;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
    norm += double{b[i]} * b[i];
  }
  const double error = std::sqrt(difference / std::max(norm, 1e-30));
  return std::isnan(error) ? INFINITY : error;
}

}  // namespace fettle
