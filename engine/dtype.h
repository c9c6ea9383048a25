// The types of a tensor's elements.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace fettle {

enum class DType : uint8_t { f32, i32, u8 };

constexpr size_t size_of(DType dtype) {
  return dtype == DType::u8 ? 1 : 4;
}

constexpr const char* name_of(DType dtype) {
  return dtype == DType::f32 ? "f32" : dtype == DType::i32 ? "i32" : "u8";
}

/// The DType of a C++ type.
template <class T>
constexpr DType dtype_of() {
  if constexpr (std::is_same_v<T, float>)
    return DType::f32;
  else if constexpr (std::is_same_v<T, int32_t>)
    return DType::i32;
  else {
    static_assert(std::is_same_v<T, uint8_t>, "tensors hold float, int32_t or uint8_t");
    return DType::u8;
  }
}

}  // namespace fettle
