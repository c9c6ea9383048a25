#include <cmath>

#include "kernels/optimizer/optimizer.h"

namespace fettle {

void sgd_step(Reference, OptimizerTensors tensors, const SgdStep& step) {
  const SgdStep& s = step.now ? *step.now : step;
  for (const OptimizerTensor& t : tensors) {
    for (int64_t i = 0; i < t.n; ++i) {
      const double push = double{s.learning_rate} * t.g[i];
      const double velocity = (t.m ? double{s.momentum} * t.m[i] : 0) - push;
      if (t.m) t.m[i] = static_cast<float>(velocity);
      t.w[i] = static_cast<float>(t.w[i] + (s.nesterov ? s.momentum * velocity - push : velocity));
    }
  }
}

void adam_step(Reference, OptimizerTensors tensors, const AdamStep& step) {
  const AdamStep& s = step.now ? *step.now : step;
  for (const OptimizerTensor& t : tensors) {
    for (int64_t i = 0; i < t.n; ++i) {
      const double g = t.g[i];
      const double mean = double{s.beta_1} * t.m[i] + (1 - double{s.beta_1}) * g;
      const double square = double{s.beta_2} * t.v[i] + (1 - double{s.beta_2}) * g * g;
      t.m[i] = static_cast<float>(mean);
      t.v[i] = static_cast<float>(square);
      t.w[i] = static_cast<float>(double{t.w[i]} * s.keep -
                                  (s.m_scale * mean + double{s.g_scale} * g) /
                                      (std::sqrt(square) * s.v_scale + s.epsilon));
    }
  }
}

}  // namespace fettle
