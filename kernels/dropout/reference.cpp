#include "kernels/dropout/dropout.h"

namespace fettle {

void dropout(Reference, int64_t n, float rate, RandomKey key, const float* x, float* y,
             const int32_t* step) {
  if (step) key.step = static_cast<uint32_t>(*step);
  for (int64_t i = 0; i < n; ++i) {
    const bool kept = uniform(key, static_cast<uint64_t>(i)) >= rate;
    y[i] = kept ? static_cast<float>(x[i] / (1.0 - rate)) : 0.0f;
  }
}

}  // namespace fettle
