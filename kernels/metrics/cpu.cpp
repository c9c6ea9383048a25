#include <algorithm>

#include "kernels/divide.h"
#include "kernels/metrics/example.h"
#include "kernels/parallel.h"
#include "kernels/recycling.h"

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

void count_pixels(Cpu, const PixelCountShape& s, const float* probabilities, const float* targets,
                  int32_t* counts) {
  const int64_t table = s.kinds * 2 * s.cells(), parts = std::min<int64_t>(s.pixels, 16);
  if (parts == 0) return;
  const int64_t grain = ceil_div(s.pixels, parts);
  RecycledVector<int32_t> tables(static_cast<size_t>(parts * table));
  parallel_for(s.pixels, grain, [&](int64_t begin, int64_t end) {
    int32_t* mine = tables.data() + begin / grain * table;
    for (int64_t i = begin * s.kinds; i < end * s.kinds; ++i) {
      const int64_t kind = i % s.kinds;
      ++mine[kind * 2 * s.cells() + pixel_cell(s, probabilities[i], targets[i])];
    }
  });
  for (size_t i = 0; i < tables.size(); ++i) counts[i % table] += tables[i];
}

}  // namespace fettle
