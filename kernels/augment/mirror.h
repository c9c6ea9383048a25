// Where a position outside a picture lies in its mirror image.
#pragma once

#include <cstdint>

#include "kernels/device.h"

namespace fettle {

/// The index in [0, n) that position i shows: -1 is 0, n is n - 1, with period 2n.
FETTLE_HOST_DEVICE inline int64_t mirrored(int64_t i, int64_t n) {
  if (static_cast<uint64_t>(i) < static_cast<uint64_t>(n)) return i;
  int64_t m = i % (2 * n);
  if (m < 0) m += 2 * n;
  return m < n ? m : 2 * n - 1 - m;
}

}  // namespace fettle
