#include <algorithm>

#include "kernels/divide.h"
#include "kernels/parallel.h"
#include "kernels/recycling.h"
#include "kernels/reduce/reduce.h"

namespace fettle {

void sum(Cpu, int64_t n, float scale, const float* x, float* y) {
  constexpr int64_t grain = 1 << 15;
  RecycledVector<double> partial(static_cast<size_t>(ceil_div(n, grain)));
  parallel_for(n, grain, [&](int64_t begin, int64_t end) {
    double lanes[8] = {};  // independent sums, so that the adds overlap
    int64_t i = begin;
    for (; i + 8 <= end; i += 8) {
      for (int64_t lane = 0; lane < 8; ++lane) lanes[lane] += x[i + lane];
    }
    for (; i < end; ++i) lanes[0] += x[i];
    for (double lane : lanes) partial[static_cast<size_t>(begin / grain)] += lane;
  });
  double total = 0;
  for (double part : partial) total += part;
  y[0] = static_cast<float>(scale * total);
}

void spread(Cpu, int64_t n, float scale, const float* x, float* y) {
  std::fill_n(y, n, scale * x[0]);
}

}  // namespace fettle
