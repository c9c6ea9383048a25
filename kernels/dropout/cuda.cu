#include "kernels/dropout/dropout.h"
#include "kernels/elementwise_loop.cuh"

namespace fettle {
namespace {

/// Four neighbours share one Philox block, as on the CPU.
struct Dropout {
  float rate, scale;
  RandomKey key;
  const int32_t* step;
  const float* x;
  float* y;
  template <int V>
  __device__ void at(int64_t i) const {
    RandomKey now = key;
    if (step) now.step = static_cast<uint32_t>(*step);
    const Philox4 words = philox4x32(now, static_cast<uint64_t>(i) / 4);
    auto value = load_vec<V>(x + i);
    for (int k = 0; k < V; ++k) {
      value[k] = unit_float(words.v[(i + k) % 4]) >= rate ? value[k] * scale : 0.0f;
    }
    store_vec(y + i, value);
  }
};

}  // namespace

void dropout(Cuda device, int64_t n, float rate, RandomKey key, const float* x, float* y,
             const int32_t* step) {
  elementwise("dropout", device, n, Dropout{rate, 1.0f / (1.0f - rate), key, step, x, y}, x, y);
}

}  // namespace fettle
