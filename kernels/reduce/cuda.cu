#include "kernels/column_sums.cuh"
#include "kernels/elementwise_loop.cuh"
#include "kernels/reduce/reduce.h"

namespace fettle {
namespace {

struct WriteScaled {
  float scale;
  float* y;
  __device__ void operator()(int64_t, int, const double (&sums)[1]) const {
    y[0] = static_cast<float>(scale * sums[0]);
  }
};

struct Spread {
  float scale;
  const float* x;
  float* y;
  template <int V>
  __device__ void at(int64_t i) const {
    Vec<float, V> out;
    for (int k = 0; k < V; ++k) out[k] = scale * x[0];
    store_vec(y + i, out);
  }
};

}  // namespace

void sum(Cuda device, int64_t n, float scale, const float* x, float* y) {
  column_sums<1>("sum", device, {.rows = n}, EachElement{x}, WriteScaled{scale, y}, x);
}

void spread(Cuda device, int64_t n, float scale, const float* x, float* y) {
  elementwise("spread", device, n, Spread{scale, x, y}, y);
}

}  // namespace fettle
