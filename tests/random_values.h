// Reproducible random inputs for tests, in memory that the host and the GPU see.
#pragma once

#include <bit>
#include <cmath>
#include <cstdlib>
#include <random>
#include <string_view>
#include <vector>

#include "engine/tensor.h"
#include "kernels/half.h"
#include "tests/gpu_memory.h"

namespace fettle {

/// Elements that kernels on every device can be given.
template <class T = float>
using Array = std::vector<T, GpuAllocator<T>>;

/// Whole numbers in [low, high], the same ones for a seed: for shapes.
class Pick {
 public:
  explicit Pick(uint32_t seed) : engine_(seed) {}
  int64_t operator()(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(engine_);
  }

 private:
  std::mt19937 engine_;
};

/// `count` normal values with deviation 1.
inline Array<> random_values(int64_t count, uint32_t seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  Array<> values(static_cast<size_t>(count));
  for (float& value : values) value = normal(engine);
  return values;
}

/// The same values in another type; bf16 rounds to nearest, ties to even.
template <class To, class From>
Array<To> converted(const Array<From>& values) {
  Array<To> out;
  out.reserve(values.size());
  for (const From value : values) {
    if constexpr (std::is_same_v<To, From>) {
      out.push_back(value);
    } else if constexpr (std::is_same_v<To, bf16>) {
      const uint32_t bits = std::bit_cast<uint32_t>(value);
      const uint32_t rounded = std::isnan(value) ? bits : bits + 0x7FFFu + (bits >> 16 & 1u);
      out.push_back({static_cast<uint16_t>(rounded >> 16)});
    } else {
      out.push_back(std::bit_cast<float>(uint32_t{value.bits} << 16));
    }
  }
  return out;
}

/// Where tests of operations compute: FETTLE_TEST_DEVICE=cuda chooses the GPU, or the executor.
inline Device test_device() {
  const char* name = std::getenv("FETTLE_TEST_DEVICE");
  return name && std::string_view(name) == "cuda" ? Device::cuda() : Device::cpu();
}

inline Tensor random_tensor(const Shape& shape, uint32_t seed) {
  return Tensor::from(shape, std::span<const float>(random_values(shape.size(), seed)),
                      test_device());
}

/// ||a - b|| / ||b||; infinite where a holds NaN or the sizes differ.
template <class A, class B>
double relative_error(const A& a, const B& b) {
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
