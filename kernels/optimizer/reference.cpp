#include "kernels/optimizer/optimizer.h"

#include <cmath>

namespace fettle {

void sgd_step(Reference, int64_t n, const SgdStep& s, const float* g, float* w, float* m) {
  for (int64_t i = 0; i < n; ++i) {
    const double push = double{s.learning_rate} * g[i];
    const double velocity = (m ? double{s.momentum} * m[i] : 0) - push;
    if (m) m[i] = static_cast<float>(velocity);
    w[i] = static_cast<float>(w[i] + (s.nesterov ? s.momentum * velocity - push : velocity));
  }
}

void adam_step(Reference, int64_t n, const AdamStep& s, const float* g, float* w, float* m,
               float* v) {
  for (int64_t i = 0; i < n; ++i) {
    const double mean = double{s.beta_1} * m[i] + (1 - double{s.beta_1}) * g[i];
    const double square = double{s.beta_2} * v[i] + (1 - double{s.beta_2}) * g[i] * g[i];
    m[i] = static_cast<float>(mean);
    v[i] = static_cast<float>(square);
    w[i] =
        static_cast<float>(double{w[i]} * s.keep - (s.m_scale * mean + double{s.g_scale} * g[i]) /
                                                       (std::sqrt(square) * s.v_scale + s.epsilon));
  }
}

}  // namespace fettle
