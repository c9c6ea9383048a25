#include "engine/ops/upsample2d.h"

#include "engine/autograd.h"
#include "engine/graph.h"

namespace fettle {

Tensor PendingUpsample2d::compute() const {
  Tensor y = Tensor::empty({shape.N, shape.H * shape.factor_h, shape.W * shape.factor_w, shape.C},
                           x.dtype(), x.device());
  on(y, [&](auto device, auto element) {
    using T = decltype(element);
    upsample2d_forward(device, shape, interpolation, x.data<T>(), y.data<T>());
  });
  return y;
}

std::shared_ptr<const PendingUpsample2d> pending_upsample2d(const Tensor& x) {
  return std::dynamic_pointer_cast<const PendingUpsample2d>(x.pending());
}

Tensor upsample2d_as(const PendingUpsample2d& pending, const Tensor& x) {
  return upsample2d(x, {pending.shape.factor_h, pending.shape.factor_w}, pending.interpolation);
}

Tensor upsample2d(const Tensor& x, std::array<int64_t, 2> size, Upsampling interpolation) {
  require(x.shape().rank() == 4, "upsample2d: the input must be [N,H,W,C], not ", x.shape());
  require(size[0] > 0 && size[1] > 0, "upsample2d: the factors must be at least 1");
  const Upsample2dShape s{x.shape()[0], x.shape()[1], x.shape()[2], x.shape()[3], size[0], size[1]};
  Tensor y = Tensor::deferred({s.N, s.H * s.factor_h, s.W * s.factor_w, s.C}, x.dtype(), x.device(),
                              make_recycled<PendingUpsample2d>(x, s, interpolation));
  trace(graph::Upsample2d{s, interpolation}, {x}, y);
  return record(std::move(y), {x}, [s, interpolation](const Tensor& dy, Grads& grads) {
    on(dy, [&](auto device, auto element) {
      using T = decltype(element);
      upsample2d_backward(device, s, interpolation, dy.data<T>(), grads.fresh<T>(0));
    });
  });
}

}  // namespace fettle
