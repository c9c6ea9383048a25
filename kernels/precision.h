// What convolutions multiply.
#pragma once

#include <array>
#include <cstddef>

namespace fettle {

/// fp32: exact products, rounded sums. tf32 and bf16 round the factors to 10 and 7 bits of
/// mantissa; sums stay fp32. tf32 is a GPU's alone.
enum class Precision { fp32, tf32, bf16 };

inline constexpr std::array<const char*, 3> precision_names = {"fp32", "tf32", "bf16"};
constexpr const char* name_of(Precision precision) {
  return precision_names[static_cast<size_t>(precision)];
}

}  // namespace fettle
