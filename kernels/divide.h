// Division of counts into parts, and counts of whole parts.
#pragma once

#include <cstdint>

namespace fettle {

/// How many parts of `size` hold `count`, the last of them perhaps not full.
constexpr int64_t ceil_div(int64_t count, int64_t size) {
  return (count + size - 1) / size;
}

/// `count` rounded up to a multiple of `size`.
constexpr int64_t round_up(int64_t count, int64_t size) {
  return ceil_div(count, size) * size;
}

}  // namespace fettle
