// Division by a number that is known before the kernel starts: a multiplication and a shift, where
// the hardware has no instruction for integer division.
// Granlund, Montgomery: "Division by invariant integers using multiplication", PLDI 1994.
#pragma once

#include <cstdint>

#include "kernels/device.h"

namespace fettle {

/// Quotients and remainders by `divisor`, 1 <= divisor < 2^31, of numbers in [0, 2^31).
struct Divider {
  uint32_t divisor = 1, factor = 1, shift = 0;

  Divider() = default;
  explicit Divider(int64_t by) : divisor(static_cast<uint32_t>(by)) {
    while ((uint64_t{1} << shift) < divisor) ++shift;
    factor = static_cast<uint32_t>(
        ((uint64_t{1} << 32) * ((uint64_t{1} << shift) - divisor)) / divisor + 1);
  }

  FETTLE_HOST_DEVICE int quotient(int n) const {
    const auto u = static_cast<uint32_t>(n);
    const auto high = static_cast<uint32_t>((uint64_t{u} * factor) >> 32);
    return static_cast<int>((high + u) >> shift);
  }
  FETTLE_HOST_DEVICE int remainder(int n, int quotient) const {
    return n - quotient * static_cast<int>(divisor);
  }
};

}  // namespace fettle
