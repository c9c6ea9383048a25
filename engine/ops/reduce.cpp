#include "engine/ops/reduce.h"

#include "engine/autograd.h"
#include "engine/ops/cast.h"
#include "kernels/reduce/reduce.h"

namespace fettle {
namespace {

Tensor scaled_sum(const Tensor& given_x, float scale) {
  const Tensor x = as_f32(given_x);
  Tensor y = Tensor::empty({1}, DType::f32, x.device());
  on(x.device(), [&](auto device) { sum(device, x.size(), scale, x.data(), y.data()); });
  return record(std::move(y), {x}, [shape = x.shape(), scale](const Tensor& dy, Grads& grads) {
    on(dy.device(),
       [&](auto device) { spread(device, shape.size(), scale, dy.data(), grads.fresh(0)); });
  });
}

}  // namespace

Tensor sum(const Tensor& x) {
  return scaled_sum(x, 1);
}

Tensor mean(const Tensor& x) {
  require(x.size() > 0, "mean: the input ", x.shape(), " has no elements");
  return scaled_sum(x, static_cast<float>(1.0 / static_cast<double>(x.size())));
}

}  // namespace fettle
