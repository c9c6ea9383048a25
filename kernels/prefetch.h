// Memory that comes nearer to a processor while it computes something else. Addresses are integers:
// what is asked for may lie beyond all memory, where a pointer may not, and nothing is read there.
#pragma once

#include <cstdint>

namespace fettle {

inline constexpr int64_t cache_line = 16;  // floats

/// Asks for the line with p[offset] to be in the first cache soon.
inline void prefetch(const float* p, int64_t offset) {
  const auto address =
      reinterpret_cast<uintptr_t>(p) + static_cast<uintptr_t>(offset) * sizeof(float);
  __builtin_prefetch(reinterpret_cast<const void*>(address), 0, 3);
}

/// Lines that are fetched one after another into the second cache, a few at a time.
class Ahead {
 public:
  /// What begins at p[offset], so many lines at a time.
  Ahead(const float* p, int64_t offset, int64_t lines)
      : next_(reinterpret_cast<uintptr_t>(p) + static_cast<uintptr_t>(offset) * sizeof(float)),
        lines_(lines) {}

  void fetch() {
    for (int64_t i = 0; i < lines_; ++i, next_ += cache_line * sizeof(float))
      __builtin_prefetch(reinterpret_cast<const void*>(next_), 0, 2);
  }

 private:
  uintptr_t next_;
  int64_t lines_;
};

}  // namespace fettle
