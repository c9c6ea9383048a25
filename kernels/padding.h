// How many zeros go around a picture, by the rules of Keras.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/divide.h"

namespace fettle {

/// valid: no zeros. same: as many as give ceil(n / stride) outputs.
enum class Padding { valid, same };

/// Zeros before and after one axis.
struct Pads {
  int64_t before = 0, after = 0;
  friend bool operator==(const Pads&, const Pads&) = default;
};

/// max((ceil(n / stride) - 1) * stride + kernel - n, 0) zeros; the odd one goes to the end.
/// `kernel` counts its dilation: (R - 1) * dilation + 1.
inline Pads same_pads(int64_t n, int64_t kernel, int64_t stride) {
  const int64_t outputs = ceil_div(n, stride);
  const int64_t total = std::max<int64_t>((outputs - 1) * stride + kernel - n, 0);
  return {total / 2, total - total / 2};
}

inline Pads pads_for(Padding padding, int64_t n, int64_t kernel, int64_t stride) {
  return padding == Padding::same ? same_pads(n, kernel, stride) : Pads{};
}

/// How many times the kernel fits.
inline int64_t output_extent(int64_t n, Pads pads, int64_t kernel, int64_t stride) {
  return (n + pads.before + pads.after - kernel) / stride + 1;
}

}  // namespace fettle
