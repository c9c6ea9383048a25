// The types of a tensor's elements.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "kernels/half.h"

namespace fettle {

/// bf16 is for activations on a GPU.
enum class DType : uint8_t { f32, i32, u8, bf16 };

constexpr size_t size_of(DType dtype) {
  return dtype == DType::u8 ? 1 : dtype == DType::bf16 ? 2 : 4;
}

constexpr const char* name_of(DType dtype) {
  constexpr const char* names[] = {"f32", "i32", "u8", "bf16"};
  return names[static_cast<int>(dtype)];
}

/// The DType of a C++ type.
template <class T>
constexpr DType dtype_of() {
  if constexpr (std::is_same_v<T, float>)
    return DType::f32;
  else if constexpr (std::is_same_v<T, int32_t>)
    return DType::i32;
  else if constexpr (std::is_same_v<T, bf16>)
    return DType::bf16;
  else {
    static_assert(std::is_same_v<T, uint8_t>, "tensors hold float, int32_t, uint8_t or bf16");
    return DType::u8;
  }
}

}  // namespace fettle
