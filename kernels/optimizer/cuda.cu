#include <cmath>

#include "kernels/elementwise_loop.cuh"
#include "kernels/optimizer/optimizer.h"

namespace fettle {
namespace {

struct Sgd {
  SgdStep s;
  const float* g;
  float *w, *m;
  template <int V>
  __device__ void at(int64_t i) const {
    const auto gradient = load_vec<V>(g + i);
    auto weight = load_vec<V>(w + i);
    auto velocity = m ? load_vec<V>(m + i) : Vec<float, V>{};
    for (int k = 0; k < V; ++k) {
      const float push = s.learning_rate * gradient[k];
      velocity[k] = s.momentum * velocity[k] - push;
      weight[k] += s.nesterov ? s.momentum * velocity[k] - push : velocity[k];
    }
    store_vec(w + i, weight);
    if (m) store_vec(m + i, velocity);
  }
};

struct Adam {
  AdamStep s;
  const float* g;
  float *w, *m, *v;
  template <int V>
  __device__ void at(int64_t i) const {
    const auto gradient = load_vec<V>(g + i);
    auto weight = load_vec<V>(w + i), mean = load_vec<V>(m + i), square = load_vec<V>(v + i);
    for (int k = 0; k < V; ++k) {
      mean[k] = s.beta_1 * mean[k] + (1 - s.beta_1) * gradient[k];
      square[k] = s.beta_2 * square[k] + (1 - s.beta_2) * gradient[k] * gradient[k];
      weight[k] = weight[k] * s.keep - (s.m_scale * mean[k] + s.g_scale * gradient[k]) /
                                           (std::sqrt(square[k]) * s.v_scale + s.epsilon);
    }
    store_vec(w + i, weight);
    store_vec(m + i, mean);
    store_vec(v + i, square);
  }
};

}  // namespace

void sgd_step(Cuda device, int64_t n, const SgdStep& step, const float* g, float* w, float* m) {
  elementwise("sgd_step", device, n, Sgd{step, g, w, m}, g, w, m);
}
void adam_step(Cuda device, int64_t n, const AdamStep& step, const float* g, float* w, float* m,
               float* v) {
  elementwise("adam_step", device, n, Adam{step, g, w, m, v}, g, w, m, v);
}

}  // namespace fettle
