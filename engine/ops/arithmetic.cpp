#include "engine/ops/arithmetic.h"

#include "engine/autograd.h"
#include "engine/graph.h"
#include "engine/ops/augment.h"
#include "engine/ops/batch_norm_fusion.h"
#include "engine/ops/cast.h"
#include "engine/ops/upsample2d.h"
#include "kernels/elementwise/elementwise.h"

namespace fettle {
namespace {

void check_shapes(const char* operation, const Tensor& a, const Tensor& b) {
  require(a.shape() == b.shape(), operation, ": the shapes ", a.shape(), " and ", b.shape(),
          " differ");
  check_devices(operation, {a, b});
}

Tensor product(const Tensor& a, const Tensor& b) {
  Tensor y = Tensor::empty(a.shape(), a.dtype(), a.device());
  on(a, [&](auto device, auto element) {
    using T = decltype(element);
    multiply(device, a.size(), a.data<T>(), b.data<T>(), y.data<T>());
  });
  return y;
}

/// upsample(x) + upsample(y) = upsample(x + y); undefined where they are not that.
Tensor add_before_upsampling(const Tensor& a, const Tensor& b) {
  const auto x = pending_upsample2d(a), y = pending_upsample2d(b);
  const bool alike = x && y && x->interpolation == y->interpolation && x->x.shape() == y->x.shape();
  return alike ? upsample2d_as(*x, x->x + y->x) : Tensor();
}

}  // namespace

Tensor operator+(const Tensor& a, const Tensor& given_b) {
  check_shapes("add", a, given_b);
  const Tensor b = cast(given_b, a.dtype());
  if (Tensor fused = fused_add(a, b); fused.defined()) return fused;
  if (Tensor smaller = add_before_upsampling(a, b); smaller.defined()) return smaller;
  Tensor y = Tensor::empty(a.shape(), a.dtype(), a.device());
  on(a, [&](auto device, auto element) {
    using T = decltype(element);
    add(device, a.size(), a.data<T>(), b.data<T>(), y.data<T>());
  });
  trace(graph::Add{}, {a, b}, y);
  return record(std::move(y), {a, b}, [](const Tensor& dy, Grads& grads) {
    grads.pass(0, dy);
    grads.pass(1, dy);
  });
}

Tensor operator*(const Tensor& a, const Tensor& given_b) {
  check_shapes("multiply", a, given_b);
  const Tensor b = cast(given_b, a.dtype());
  Tensor y = product(a, b);
  trace(graph::Multiply{}, {a, b}, y);
  return record(std::move(y), {a, b},
                [a = a.detach(), b = b.detach()](const Tensor& dy, Grads& grads) {
                  if (grads.wants(0)) grads.pass(0, product(dy, b));
                  if (grads.wants(1)) grads.pass(1, product(dy, a));
                });
}

Tensor rescale(const Tensor& given_x, float scale, float offset) {
  const Tensor x = as_f32(given_x);
  Tensor y = fused_rescale(x, scale, offset);
  if (!y.defined()) {
    y = Tensor::empty(x.shape(), DType::f32, x.device());
    on(x.device(),
       [&](auto device) { scale_offset(device, x.size(), scale, offset, x.data(), y.data()); });
  }
  trace(graph::Rescale{scale, offset}, {x}, y);
  return record(std::move(y), {x}, [scale](const Tensor& dy, Grads& grads) {
    on(dy.device(),
       [&](auto device) { scale_offset(device, dy.size(), scale, 0, dy.data(), grads.fresh(0)); });
  });
}

}  // namespace fettle
