// IEEE 754 binary16: 1 sign, 5 exponent, 10 fraction bits.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace fettle {

inline float from_half(uint16_t half) {
  const uint32_t exponent = half >> 10 & 31, fraction = half & 1023;
  const auto value = exponent == 0    ? std::ldexp(static_cast<float>(fraction), -24)
                     : exponent == 31 ? (fraction ? NAN : INFINITY)
                                      : std::ldexp(static_cast<float>(fraction + 1024),
                                                   static_cast<int>(exponent) - 25);
  return half & 0x8000 ? -value : value;
}

/// Rounds to nearest, ties to even; what is too large becomes infinite.
inline uint16_t to_half(float value) {
  const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  const float size = std::abs(value);
  if (std::isnan(value)) return sign | 0x7E00;
  if (size >= 65520) return sign | 0x7C00;
  // Below 2^-14 the step is 2^-24, above it 2^-10 of the leading power of two.
  const int exponent = size < 0x1p-14f ? -14 : std::ilogb(size);
  const auto steps = static_cast<uint32_t>(std::nearbyint(std::ldexp(size, 10 - exponent)));
  return static_cast<uint16_t>(sign + (static_cast<uint32_t>(exponent + 14) << 10) + steps);
}

}  // namespace fettle
