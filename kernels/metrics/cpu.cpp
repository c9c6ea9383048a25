#include "kernels/metrics/example.h"

namespace fettle {

void count_predictions(Cpu, const CountShape& s, const float* probabilities, const int32_t* labels,
                       const float* thresholds, int32_t* confusion, int32_t* scores) {
  for (int64_t n = 0; n < s.N; ++n) {
    const int64_t label = labels[n];
    if (label < 0 || label >= s.classes) continue;
    const float* row = probabilities + n * (s.one_column ? 1 : s.classes);
    ++confusion[label * s.classes + prediction_of(s, row)];
    for (int64_t k = 0; k < s.classes; ++k) {
      const int64_t bucket = thresholds_below(thresholds, s.thresholds, probability_of(s, row, k));
      ++scores[(k * 2 + (k == label)) * (s.thresholds + 1) + bucket];
    }
  }
}

}  // namespace fettle
