#include "kernels/dropout/dropout.h"
#include "kernels/elementwise_loop.cuh"

namespace fettle {
namespace {

/// Four neighbours share one Philox block, as on the CPU.
template <class T>
struct Dropout {
  float rate, scale;
  RandomKey key;
  const int32_t* step;
  const T* x;
  T* y;
  template <int V>
  __device__ void at(int64_t i) const {
    RandomKey now = key;
    if (step) now.step = static_cast<uint32_t>(*step);
    auto value = load_floats<V>(x + i);
    for (int first = 0; first < V; first += 4) {
      const Philox4 words = philox4x32(now, static_cast<uint64_t>(i + first) / 4);
      for (int k = first; k < V && k < first + 4; ++k) {
        value[k] = unit_float(words.v[(i + k) % 4]) >= rate ? value[k] * scale : 0.0f;
      }
    }
    store_floats(y + i, value);
  }
};

}  // namespace

template <class T>
void dropout(Cuda device, int64_t n, float rate, RandomKey key, const T* x, T* y,
             const int32_t* step) {
  elementwise("dropout", device, n, Dropout<T>{rate, 1.0f / (1.0f - rate), key, step, x, y}, x, y);
}
template void dropout(Cuda, int64_t, float, RandomKey, const float*, float*, const int32_t*);
template void dropout(Cuda, int64_t, float, RandomKey, const bf16*, bf16*, const int32_t*);

}  // namespace fettle
