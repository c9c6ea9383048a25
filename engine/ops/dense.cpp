#include "engine/ops/dense.h"

#include "engine/graph.h"
#include "engine/ops/cast.h"
#include "engine/ops/epilogue.h"

namespace fettle {

Tensor dense(const Tensor& given_x, const Tensor& w, const Tensor& bias, Epilogue epilogue) {
  const Tensor x = as_f32(given_x);
  require(x.shape().rank() == 2 && w.shape().rank() == 2 && x.shape()[1] == w.shape()[1],
          "dense: input ", x.shape(), " and weight ", w.shape(),
          " do not fit; they must be [N,C] and [K,C]");
  const DenseShape s{x.shape()[0], x.shape()[1], w.shape()[0]};
  require(!bias.defined() || bias.shape() == Shape{s.K}, "dense: bias ", bias.shape(),
          " does not fit weight ", w.shape());
  check_devices("dense", {x, w, bias});
  Tensor y = Tensor::empty({s.N, s.K}, DType::f32, x.device());
  on(x.device(), [&](auto device) {
    dense_forward(device, s, x.data(), w.data(), bias.data(), epilogue, y.data());
  });
  trace(graph::Dense{epilogue}, {x, w, bias}, y);
  const SavedFactors saved(epilogue, y, x, w);
  return record(std::move(y), {x, w, bias}, [=](const Tensor& dy, Grads& grads) {
    const Tensor dz = epilogue_gradient(epilogue, dy, saved.output, 2, grads);
    on(dy.device(), [&](auto device) {
      if (grads.wants(0))
        dense_backward_input(device, s, dz.data(), saved.weight.data(), grads.fresh(0));
      if (grads.wants(1))
        dense_backward_weight(device, s, dz.data(), saved.input.data(), grads.fresh(1));
    });
  });
}

}  // namespace fettle
