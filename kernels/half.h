// Floats of 16 bits, as they lie in memory. kernels/cu/elements.h converts them.
#pragma once

#include <cstdint>

namespace fettle {

/// bfloat16: the upper half of a float (8 bits of exponent, 7 of mantissa).
struct bf16 {
  uint16_t bits;
};

/// IEEE 754 binary16: 5 bits of exponent, 10 of mantissa; its largest number is 65504.
struct fp16 {
  uint16_t bits;
};

}  // namespace fettle
