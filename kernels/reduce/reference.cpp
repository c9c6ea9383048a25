#include "kernels/reduce/reduce.h"

namespace fettle {

void sum(Reference, int64_t n, float scale, const float* x, float* y) {
  double total = 0;
  for (int64_t i = 0; i < n; ++i) total += x[i];
  y[0] = static_cast<float>(scale * total);
}

void spread(Reference, int64_t n, float scale, const float* x, float* y) {
  for (int64_t i = 0; i < n; ++i) y[i] = static_cast<float>(double{scale} * x[0]);
}

}  // namespace fettle
