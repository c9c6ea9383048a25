// Numbers as a file has them, looked at before they are believed.
#pragma once

#include <bit>
#include <cstdint>
#include <span>

namespace fettle {

/// Whether none is infinite or no number.
inline bool all_finite(std::span<const float> values) {
  constexpr uint32_t exponent = 0x7F800000;
  bool found = false;  // no early end, so that the compiler looks at many at once
  for (const float value : values) found |= (std::bit_cast<uint32_t>(value) & exponent) == exponent;
  return !found;
}

}  // namespace fettle
