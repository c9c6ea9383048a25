// Random inputs of batch normalisation's kernels, and their outputs on any device.
#pragma once

#include <cmath>

#include "kernels/batch_norm/batch_norm.h"
#include "tests/kernel_check.h"

namespace fettle {

struct BatchNormValues {
  /// What is added to the first term.
  enum class Second { none, plain, normalised };
  static constexpr Second seconds[] = {Second::none, Second::plain, Second::normalised};

  /// x has deviation 2 about `centre` + 10 * channel.
  BatchNormValues(const BatchNormShape& s, Second second, float centre = 0)
      : shape(s), second(second), dy(random_values(s.rows * s.C, 1)) {
    for (uint32_t k = 0; k < 2; ++k) {
      x[k] = random_values(s.rows * s.C, 6 * k + 2);
      for (int64_t i = 0; i < s.rows * s.C; ++i)
        x[k][i] = x[k][i] * 2 + static_cast<float>(i % s.C) * 10 + centre;
      gamma[k] = random_values(s.C, 6 * k + 3);
      beta[k] = random_values(s.C, 6 * k + 4);
      mean[k] = variance[k] = Array<>(static_cast<size_t>(s.C));
      batch_norm_statistics(Reference{}, s, x[k].data(), mean[k].data(), variance[k].data());
      for (float& value : variance[k]) value += 0.1f;
    }
    if (second == Second::plain) x[1] = random_values(s.rows * s.C, 9);
    keep_off_the_kink();
  }

  BatchNormSum<> sum(Epilogue epilogue, bool of_batch) const {
    BatchNormSum<> sum = {{term(0, of_batch), term(1, of_batch)}, epilogue};
    if (second == Second::none) sum.terms[1] = {};
    if (second == Second::plain) sum.terms[1] = {.x = x[1].data()};
    return sum;
  }

  /// y, dbeta, dgamma and dx. `rung` may choose one for the reduction.
  template <class AnyDevice, class... Rung>
  Arrays outputs(AnyDevice device, Epilogue epilogue, bool of_batch, Rung... rung) const {
    const BatchNormSum<> s = sum(epilogue, of_batch);
    const int64_t n = shape.rows * shape.C;
    Arrays out = {unwritten(n), unwritten(shape.C), unwritten(shape.C), unwritten(n)};
    if (second != Second::none) out.push_back(unwritten(n));
    if (second == Second::normalised) out.push_back(unwritten(shape.C));
    const BatchNormGradients gradients = {
        {out[2].data(), second == Second::normalised ? out[5].data() : nullptr}, out[1].data()};
    batch_norm_apply(device, shape, s, out[0].data());
    batch_norm_backward_parameters(device, rung..., shape, s, dy.data(), gradients);
    // From given gradients: an error of theirs must not be counted twice.
    float* const dx_1 = second == Second::none ? nullptr : out[4].data();
    batch_norm_backward_input(
        device, shape, s, dy.data(),
        {{const_cast<float*>(beta[0].data()), const_cast<float*>(beta[1].data())},
         const_cast<float*>(gamma[0].data())},
        out[3].data(), dx_1);
    return out;
  }

  BatchNormShape shape;
  Second second;
  Array<> x[2], gamma[2], beta[2], mean[2], variance[2], dy;

 private:
  BatchNormTerm<> term(int k, bool of_batch) const {
    return {x[k].data(),        gamma[k].data(), beta[k].data(), mean[k].data(),
            variance[k].data(), 1e-3f,           of_batch};
  }
  /// ReLU's gradient jumps at 0, where rounding decides.
  void keep_off_the_kink() {
    Array<> y = unwritten(shape.rows * shape.C);
    batch_norm_apply(Reference{}, shape, sum(Epilogue::linear, false), y.data());
    for (size_t i = 0; i < y.size(); ++i)
      if (std::abs(y[i]) < 1e-2f) x[0][i] += 0.5f;
  }
};

}  // namespace fettle
