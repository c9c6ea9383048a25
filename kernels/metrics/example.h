// One example or pixel of metrics.h, for every device.
#pragma once

#include "kernels/metrics/metrics.h"

namespace fettle {

/// The probability of class k.
FETTLE_HOST_DEVICE inline float probability_of(const CountShape& s, const float* row, int64_t k) {
  if (!s.one_column) return row[k];
  return k == 1 ? row[0] : 1.0f - row[0];
}

FETTLE_HOST_DEVICE inline int64_t prediction_of(const CountShape& s, const float* row) {
  if (s.one_column) return row[0] > 0.5f;
  int64_t best = 0;
  for (int64_t k = 1; k < s.classes; ++k) {
    if (row[k] > row[best]) best = k;
  }
  return best;
}

/// How many of n rising thresholds lie below p.
FETTLE_HOST_DEVICE inline int64_t thresholds_below(const float* thresholds, int64_t n, float p) {
  int64_t low = 0, high = n;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (thresholds[middle] < p) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

/// The bin of a probability; 0 of what is none.
FETTLE_HOST_DEVICE inline int64_t bin_of(int64_t bins, float probability) {
  const float at = probability * static_cast<float>(bins);
  const int64_t bin = at > 0 ? static_cast<int64_t>(at) : 0;
  return bin < bins ? bin : bins - 1;
}

/// Where a pixel counts in a kind's [2,bins + 1].
FETTLE_HOST_DEVICE inline int64_t pixel_cell(const PixelCountShape& s, float probability,
                                             float target) {
  return (target >= 0.5f ? s.bins + 1 : 0) + bin_of(s.bins, probability) +
         (probability >= s.threshold ? 1 : 0);
}

}  // namespace fettle
