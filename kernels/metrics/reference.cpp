#include <algorithm>
#include <vector>

#include "kernels/metrics/metrics.h"

namespace fettle {

void count_predictions(Reference, const CountShape& s, const float* probabilities,
                       const int32_t* labels, const float* thresholds, int32_t* confusion,
                       int32_t* scores) {
  for (int64_t n = 0; n < s.N; ++n) {
    std::vector<float> row;
    if (s.one_column) {
      row = {1 - probabilities[n], probabilities[n]};
    } else {
      row.assign(probabilities + n * s.classes, probabilities + (n + 1) * s.classes);
    }
    const int64_t predicted =
        s.one_column ? row[1] > 0.5f : std::max_element(row.begin(), row.end()) - row.begin();
    if (labels[n] < 0 || labels[n] >= s.classes) continue;
    ++confusion[labels[n] * s.classes + predicted];
    for (int64_t k = 0; k < s.classes; ++k) {
      int64_t below = 0;
      for (int64_t i = 0; i < s.thresholds; ++i) below += thresholds[i] < row[k];
      ++scores[(k * 2 + (labels[n] == k)) * (s.thresholds + 1) + below];
    }
  }
}

void count_pixels(Reference, const PixelCountShape& s, const float* probabilities,
                  const float* targets, int32_t* counts) {
  for (int64_t k = 0; k < s.kinds; ++k) {
    for (int64_t i = 0; i < s.pixels; ++i) {
      int64_t bin = s.bins - 1;  // the last i / bins that the probability reaches
      while (bin > 0 && probabilities[i * s.kinds + k] * static_cast<float>(s.bins) <
                            static_cast<float>(bin)) {
        --bin;
      }
      if (probabilities[i * s.kinds + k] >= s.threshold) ++bin;
      const bool is_set = targets[i * s.kinds + k] >= 0.5f;
      ++counts[(k * 2 + is_set) * s.cells() + bin];
    }
  }
}

}  // namespace fettle
