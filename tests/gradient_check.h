// Gradients against central differences.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "engine/autograd.h"
#include "tests/random_values.h"

namespace fettle {

/// For every input of f, compares the gradient of sum(f(inputs) * r), r fixed and random, with
/// (F(x + e) - F(x - e)) / 2e taken element by element and summed in double precision.
/// f must be smooth within e of the inputs. `tolerance` bounds ||ours - numerical|| /
/// ||numerical||.
inline void expect_gradients(const std::function<Tensor(const std::vector<Tensor>&)>& f,
                             std::vector<Tensor> inputs, double tolerance = 2e-3,
                             float step = 1e-2f) {
  for (Tensor& input : inputs) input.set_requires_grad(true);
  const Tensor y = f(inputs);
  const Tensor r = random_tensor(y.shape(), 99);
  const std::vector<float> weights = r.to_vector();
  backward(record(Tensor::zeros({1}, DType::f32, y.device()), {y},
                  [r](const Tensor&, Grads& grads) { grads.pass(0, r); }));

  const NoGrad no_grad;
  const auto value = [&] {
    const std::vector<float> out = f(inputs).to_vector();
    double total = 0;
    for (size_t i = 0; i < out.size(); ++i) total += double{out[i]} * weights[i];
    return total;
  };
  for (size_t k = 0; k < inputs.size(); ++k) {
    ASSERT_TRUE(inputs[k].grad().defined()) << "input " << k << " got no gradient";
    std::vector<float> numerical;
    std::vector<float> x = inputs[k].to_vector();
    const auto value_at = [&](size_t i, float changed) {
      x[i] = changed;
      inputs[k].copy_from(Tensor::from(inputs[k].shape(), x));
      return value();
    };
    for (size_t i = 0; i < x.size(); ++i) {
      const float before = x[i], above = before + step, below = before - step;
      const double high = value_at(i, above), low = value_at(i, below);
      value_at(i, before);
      numerical.push_back(static_cast<float>((high - low) / (double{above} - double{below})));
    }
    EXPECT_LT(relative_error(inputs[k].grad().to_vector(), numerical), tolerance)
        << "gradient of input " << k;
  }
}

}  // namespace fettle
