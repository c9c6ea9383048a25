#include "engine/ops/activation.h"

#include "engine/autograd.h"
#include "engine/graph.h"
#include "engine/ops/batch_norm_fusion.h"
#include "engine/ops/cast.h"
#include "engine/ops/upsample2d.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/softmax/softmax.h"

namespace fettle {
namespace {

Tensor unary(Unary f, const Tensor& x) {
  Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  on(x, [&](auto device, auto element) {
    using T = decltype(element);
    unary_forward(device, f, x.size(), x.data<T>(), y.data<T>());
  });
  trace(graph::Elementwise{f}, {x}, y);
  return record(std::move(y), {x}, [f, x = x.detach()](const Tensor& dy, Grads& grads) {
    on(dy, [&](auto device, auto element) {
      using T = decltype(element);
      unary_backward(device, f, dy.size(), x.data<T>(), dy.data<T>(), grads.fresh<T>(0));
    });
  });
}

}  // namespace

Tensor relu(const Tensor& x) {
  if (Tensor fused = fused_relu(x); fused.defined()) return fused;
  const auto enlarged = pending_upsample2d(x);
  if (enlarged && enlarged->interpolation == Upsampling::nearest)
    return upsample2d_as(*enlarged, relu(enlarged->x));
  return unary(Unary::relu, x);
}
Tensor relu6(const Tensor& x) {
  return unary(Unary::relu6, x);
}
Tensor sigmoid(const Tensor& x) {
  return unary(Unary::sigmoid, as_f32(x));
}
Tensor swish(const Tensor& x) {
  return unary(Unary::swish, x);
}

Tensor softmax(const Tensor& given_x) {
  const Tensor x = as_f32(given_x);
  require(x.shape().rank() >= 1 && x.shape()[-1] > 0, "softmax: the input ", x.shape(),
          " has no last axis to normalise");
  const int64_t K = x.shape()[-1], N = x.size() / K;
  Tensor y = Tensor::empty(x.shape(), DType::f32, x.device());
  on(x.device(), [&](auto device) { softmax_forward(device, N, K, x.data(), y.data()); });
  trace(graph::Softmax{}, {x}, y);
  const Tensor saved = y.detach();
  return record(std::move(y), {x}, [=](const Tensor& dy, Grads& grads) {
    on(dy.device(), [&](auto device) {
      softmax_backward(device, N, K, saved.data(), dy.data(), grads.fresh(0));
    });
  });
}

Tensor activate(const Tensor& x, Activation activation) {
  switch (activation) {
    case Activation::linear:
      return x;
    case Activation::relu:
      return relu(x);
    case Activation::relu6:
      return relu6(x);
    case Activation::sigmoid:
      return sigmoid(x);
    case Activation::swish:
      return swish(x);
    case Activation::softmax:
      return softmax(x);
  }
  throw Error("activate: unknown activation");
}

}  // namespace fettle
