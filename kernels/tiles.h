// Cutting into register tiles, and from a count at run time to one that the compiler knows.
#pragma once

#include <cstdint>

#include "kernels/divide.h"

namespace fettle {

/// Calls f.template operator()<M>() for the run-time count m, 1 <= m <= Max.
template <int Max, class F>
[[gnu::always_inline]] inline void with_count(int64_t m, const F& f) {
  if constexpr (Max > 1) {
    if (m < Max) return with_count<Max - 1>(m, f);
  }
  f.template operator()<Max>();
}

/// Cuts `count` rows into tiles of nearly equal height, at most `most`: 14 becomes 7 + 7, not
/// 12 + 2, since a low tile leaves the FMA units idle. Calls f(first, rows).
template <class F>
[[gnu::always_inline]] inline void for_each_tile(int64_t count, int64_t most, const F& f) {
  const int64_t tiles = ceil_div(count, most);
  for (int64_t i = 0, first = 0; i < tiles; ++i) {
    const int64_t rows = (count - first) / (tiles - i);
    f(first, rows);
    first += rows;
  }
}

}  // namespace fettle
