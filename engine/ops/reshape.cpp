#include "engine/ops/reshape.h"

#include "engine/autograd.h"
#include "engine/graph.h"

namespace fettle {

Tensor reshape(const Tensor& x, const Shape& shape) {
  Tensor y = x.view(shape);
  trace(graph::Reshape{}, {x}, y);
  return record(std::move(y), {x}, [](const Tensor& dy, Grads& grads) { grads.pass(0, dy); });
}

Tensor flatten(const Tensor& x) {
  require(x.shape().rank() >= 1 && x.shape()[0] > 0, "flatten: the input ", x.shape(),
          " has no pictures");
  return reshape(x, {x.shape()[0], x.size() / x.shape()[0]});
}

}  // namespace fettle
