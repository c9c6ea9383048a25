// Memory that comes nearer to a processor while it computes something else. Addresses are integers:
// what is asked for may lie beyond all memory, where a pointer may not, and nothing is read there.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/divide.h"

namespace fettle {

inline constexpr int64_t cache_line = 16;  // floats

inline uintptr_t address_of(const float* p, int64_t offset) {
  return reinterpret_cast<uintptr_t>(p) + static_cast<uintptr_t>(offset) * sizeof(float);
}

/// Asks for the line with p[offset] to be in the first cache soon. Inlined always: GCC leaves out a
/// call of a function that only does that, as one without effect.
[[gnu::always_inline]] inline void prefetch(const float* p, int64_t offset) {
  __builtin_prefetch(reinterpret_cast<const void*>(address_of(p, offset)), 0, 3);
}

/// Brings what lies in one piece into the second cache, some lines at a time. Short where it is
/// called, and so for loops of which there are many.
class LinesAhead {
 public:
  /// `floats` from p[offset] on, or a few lines more, in `times` calls of fetch().
  LinesAhead(const float* p, int64_t offset, int64_t floats, int64_t times)
      : next_(address_of(p, offset)),
        at_once_(ceil_div(ceil_div(floats, cache_line), std::max<int64_t>(1, times))) {}

  void fetch() {
    for (int64_t i = 0; i < at_once_; ++i, next_ += cache_line * sizeof(float))
      __builtin_prefetch(reinterpret_cast<const void*>(next_), 0, 2);
  }

 private:
  uintptr_t next_;
  int64_t at_once_;
};

/// Rows of pixels, of each of which so many floats are wanted.
struct Region {
  uintptr_t first;  // address
  int64_t rows, row, pixels, pixel, floats;
  int64_t lines() const { return rows * pixels * lines_of_pixel(); }
  int64_t lines_of_pixel() const { return ceil_div(floats, cache_line); }
};

/// Brings a region into the second cache, some lines at a time.
class Ahead {
 public:
  /// All of it in `times` calls of fetch().
  Ahead(const Region& region, int64_t times)
      : region_(region),
        at_once_(ceil_div(region.lines(), std::max<int64_t>(1, times))),
        next_(region.first),
        end_(next_ + line_bytes * static_cast<uintptr_t>(region.lines_of_pixel())) {}

  void fetch() {
    for (int64_t i = 0; i < at_once_; ++i, next_ += line_bytes) {
      if (next_ == end_ && !turn_to_next_pixel()) return;
      __builtin_prefetch(reinterpret_cast<const void*>(next_), 0, 2);
    }
  }

 private:
  static constexpr uintptr_t line_bytes = cache_line * sizeof(float);

  bool turn_to_next_pixel() {
    if (pixel_ + 1 < region_.pixels) {
      ++pixel_;
    } else if (row_ + 1 < region_.rows) {
      ++row_, pixel_ = 0;
    } else {
      return false;
    }
    const int64_t offset = row_ * region_.row + pixel_ * region_.pixel;
    next_ = region_.first + static_cast<uintptr_t>(offset) * sizeof(float);
    end_ = next_ + line_bytes * static_cast<uintptr_t>(region_.lines_of_pixel());
    return true;
  }

  Region region_;
  int64_t at_once_;
  uintptr_t next_, end_;  // of the pixel's lines
  int64_t row_ = 0, pixel_ = 0;
};

}  // namespace fettle
