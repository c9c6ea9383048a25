// Where a position outside a picture lies in its mirror image.
#pragma once

#include "kernels/device.h"

namespace fettle {

/// The index in [0, n) that position i shows: -1 is 0, n is n - 1, with period 2n.
template <class T>
FETTLE_HOST_DEVICE inline T mirrored(T i, T n) {
  if (i >= 0 && i < n) return i;
  T m = i % (2 * n);
  if (m < 0) m += 2 * n;
  return m < n ? m : 2 * n - 1 - m;
}

}  // namespace fettle
