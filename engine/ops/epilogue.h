// The shared end of conv2d's and dense's backward. See kernels/epilogue/epilogue.h.
#pragma once

#include "engine/autograd.h"
#include "kernels/epilogue/epilogue.h"

namespace fettle {

/// The gradient dz before the epilogue, from dy and (for ReLU) the output y; the channels are the
/// last axis. Also gives the bias's gradient if input `bias` of the operation wants one: the sums
/// of dz, which before batch-norm are zero without being formed, as it takes the mean away.
inline Tensor epilogue_gradient(Epilogue epilogue, const Tensor& dy, const Tensor& y, int bias,
                                Grads& grads) {
  const bool relu = epilogue == Epilogue::relu;
  const int64_t K = dy.shape()[-1];
  const bool zero = !relu && dy.sums_to_zero(K), summed = grads.wants(bias) && !zero;
  if (zero && grads.wants(bias)) grads.pass(bias, Tensor::zeros({K}, DType::f32, dy.device()));
  if (!relu && !summed) return dy;
  Tensor dz = relu ? Tensor::empty(dy.shape(), dy.dtype(), dy.device()) : dy;
  on(dy, [&](auto device, auto element) {
    using T = decltype(element);
    epilogue_backward(device, dy.size() / K, K, epilogue, dy.data<T>(),
                      relu ? y.data<T>() : nullptr, relu ? dz.data<T>() : nullptr,
                      summed ? grads.fresh(bias) : nullptr);
  });
  return dz;
}

/// What the backward of a product y = f(x * w) keeps: each gradient needs the other factor, and a
/// frozen factor's gradient is never asked for.
struct SavedFactors {
  SavedFactors(Epilogue epilogue, const Tensor& y, const Tensor& x, const Tensor& w)
      : output(epilogue == Epilogue::relu ? y.detach() : Tensor()),
        input(w.requires_grad() ? x.detach() : Tensor()),
        weight(x.requires_grad() ? w.detach() : Tensor()) {}
  Tensor output, input, weight;
};

}  // namespace fettle
