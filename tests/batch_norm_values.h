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

  /// x has deviation 2 about `centre` + 10 * channel. `in_bf16`: x and dy are numbers of bf16.
  BatchNormValues(const BatchNormShape& s, Second second, float centre = 0, bool in_bf16 = false)
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
    if (!in_bf16) return;
    for (Array<>* values : {&x[0], &x[1], &dy})
      *values = converted<float>(converted<bf16>(*values));
  }

  BatchNormSum<> sum(Epilogue epilogue, bool of_batch) const {
    return sum_of(x[0].data(), x[1].data(), epilogue, of_batch);
  }
  /// Of these arrays in place of x.
  template <class T>
  BatchNormSum<T> sum_of(const T* first, const T* other, Epilogue epilogue, bool of_batch) const {
    BatchNormSum<T> sum = {{term(0, first, of_batch)}, epilogue};
    if (second == Second::plain) sum.terms[1] = {.x = other};
    if (second == Second::normalised) sum.terms[1] = term(1, other, of_batch);
    return sum;
  }

  /// y, dbeta, dgamma and dx, with activations of type T. `rung` may choose one for the reduction.
  template <class T = float, class AnyDevice, class... Rung>
  Arrays outputs(AnyDevice device, Epilogue epilogue, bool of_batch, Rung... rung) const {
    const Array<T> first = converted<T>(x[0]), other = converted<T>(x[1]),
                   gradient = converted<T>(dy);
    auto sum = sum_of(first.data(), other.data(), epilogue, of_batch);
    Array<uint8_t> mask;
    if (needs_mask(sum)) {
      mask.resize(static_cast<size_t>(batch_norm_mask_bytes(device, shape, T{})));
      if (!mask.empty()) sum.mask = mask.data();
    }
    const Array<T> nothing = converted<T>(unwritten(shape.rows * shape.C));
    Array<T> y = nothing, dx[2] = {nothing, nothing};
    Arrays of_channels(3, unwritten(shape.C));  // dbeta and both dgamma
    const bool two = second == Second::normalised;
    batch_norm_apply(device, shape, sum, y.data());
    if (sum.mask) sum.terms[1] = {};  // is not read again
    batch_norm_backward_parameters(
        device, rung..., shape, sum, gradient.data(),
        {{of_channels[1].data(), two ? of_channels[2].data() : nullptr}, of_channels[0].data()});
    // From given gradients: an error of theirs must not be counted twice.
    batch_norm_backward_input(
        device, shape, sum, gradient.data(),
        {{const_cast<float*>(beta[0].data()), const_cast<float*>(beta[1].data())},
         const_cast<float*>(gamma[0].data())},
        dx[0].data(), second == Second::none ? nullptr : dx[1].data());
    Arrays out = {converted<float>(y), of_channels[0], of_channels[1], converted<float>(dx[0])};
    if (second != Second::none) out.push_back(converted<float>(dx[1]));
    if (two) out.push_back(of_channels[2]);
    return out;
  }

  BatchNormShape shape;
  Second second;
  Array<> x[2], gamma[2], beta[2], mean[2], variance[2], dy;

 private:
  template <class T>
  BatchNormTerm<T> term(int k, const T* values, bool of_batch) const {
    return {values, gamma[k].data(), beta[k].data(), mean[k].data(), variance[k].data(),
            1e-3f,  of_batch};
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
