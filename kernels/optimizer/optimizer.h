// One step of an optimiser over a flat parameter w with gradient g; state arrays are updated too.
#pragma once

#include <cstdint>

#include "kernels/device.h"

namespace fettle {

/// m = momentum * m - learning_rate * g, then
///   w += m                                   or, with Nesterov,
///   w += momentum * m - learning_rate * g
/// (Keras's SGD). m may be nullptr where momentum is 0.
struct SgdStep {
  float learning_rate = 0.01f, momentum = 0;
  bool nesterov = false;
};
void sgd_step(Cpu, int64_t n, const SgdStep& step, const float* g, float* w, float* m);
void sgd_step(Cuda, int64_t n, const SgdStep& step, const float* g, float* w, float* m);
void sgd_step(Reference, int64_t n, const SgdStep& step, const float* g, float* w, float* m);

/// m = beta_1 * m + (1 - beta_1) * g,  v = beta_2 * v + (1 - beta_2) * g^2, then
///   w = w * keep - (m_scale * m + g_scale * g) / (sqrt(v) * v_scale + epsilon)
/// The scales make this Adam (Kingma, Ba, ICLR 2015), AdamW (Loshchilov, Hutter, ICLR 2019) or
/// Nadam (Dozat, ICLR 2016 workshop).
struct AdamStep {
  float beta_1 = 0.9f, beta_2 = 0.999f, epsilon = 1e-7f;
  float keep = 1, m_scale = 0, g_scale = 0, v_scale = 1;
};
void adam_step(Cpu, int64_t n, const AdamStep& step, const float* g, float* w, float* m, float* v);
void adam_step(Cuda, int64_t n, const AdamStep& step, const float* g, float* w, float* m, float* v);
void adam_step(Reference, int64_t n, const AdamStep& step, const float* g, float* w, float* m,
               float* v);

}  // namespace fettle
