// One step of an optimiser over all parameters of a model at once: a model has many small ones, and
// each by itself would cost more to start than to compute.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/device.h"
#include "kernels/half.h"

namespace fettle {

/// A flat parameter w of n elements, its gradient g, and its state, which is updated, too. On a GPU
/// the new w is also written to `rounded`, if that is not nullptr.
struct OptimizerTensor {
  int64_t n = 0;
  const float* g = nullptr;
  float *w = nullptr, *m = nullptr, *v = nullptr;
  bf16* rounded = nullptr;
};
using OptimizerTensors = std::span<const OptimizerTensor>;

/// m = momentum * m - learning_rate * g, then
///   w += m                                   or, with Nesterov,
///   w += momentum * m - learning_rate * g
/// (Keras's SGD). v is not used; m may be nullptr where momentum is 0.
struct SgdStep {
  float learning_rate = 0.01f, momentum = 0;
  bool nesterov = false;
  const SgdStep* now = nullptr;  ///< where these numbers are read, if not here (see AdamStep)
};
void sgd_step(Cpu, OptimizerTensors tensors, const SgdStep& step);
void sgd_step(Cuda, OptimizerTensors tensors, const SgdStep& step);
void sgd_step(Reference, OptimizerTensors tensors, const SgdStep& step);

/// m = beta_1 * m + (1 - beta_1) * g,  v = beta_2 * v + (1 - beta_2) * g^2, then
///   w = w * keep - (m_scale * m + g_scale * g) / (sqrt(v) * v_scale + epsilon)
/// The scales make this Adam (Kingma, Ba, ICLR 2015), AdamW (Loshchilov, Hutter, ICLR 2019) or
/// Nadam (Dozat, ICLR 2016 workshop).
struct AdamStep {
  float beta_1 = 0.9f, beta_2 = 0.999f, epsilon = 1e-7f;
  float keep = 1, m_scale = 0, g_scale = 0, v_scale = 1;
  /// Where not nullptr, the numbers are those found there when the step is computed: a CUDA graph
  /// stays, its steps go on.
  const AdamStep* now = nullptr;
};
void adam_step(Cpu, OptimizerTensors tensors, const AdamStep& step);
void adam_step(Cuda, OptimizerTensors tensors, const AdamStep& step);
void adam_step(Reference, OptimizerTensors tensors, const AdamStep& step);

}  // namespace fettle
