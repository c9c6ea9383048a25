#include "kernels/dropout/dropout.h"
#include "kernels/parallel.h"

namespace fettle {

void dropout(Cpu, int64_t n, float rate, RandomKey key, const float* x, float* y,
             const int32_t* step) {
  if (step) key.step = static_cast<uint32_t>(*step);
  const float scale = 1.0f / (1.0f - rate);
  constexpr int64_t grain = 1 << 14;  // a multiple of 4: a chunk begins with a whole Philox block
  parallel_for(n, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += 4) {
      const Philox4 words = philox4x32(key, static_cast<uint64_t>(i / 4));
      for (int64_t lane = 0; lane < 4 && i + lane < end; ++lane) {
        y[i + lane] = unit_float(words.v[lane]) >= rate ? x[i + lane] * scale : 0.0f;
      }
    }
  });
}

}  // namespace fettle
