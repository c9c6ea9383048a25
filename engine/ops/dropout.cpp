#include "engine/ops/dropout.h"

#include "engine/autograd.h"
#include "kernels/dropout/dropout.h"

namespace fettle {

Tensor dropout(const Tensor& x, float rate, RandomKey key) {
  require(rate >= 0 && rate < 1, "dropout: the rate ", rate, " must be at least 0 and below 1");
  Tensor y = Tensor::empty(x.shape(), DType::f32, x.device());
  on(x.device(), [&](auto device) { dropout(device, x.size(), rate, key, x.data(), y.data()); });
  return record(std::move(y), {x}, [rate, key](const Tensor& dy, Grads& grads) {
    on(dy.device(),
       [&](auto device) { dropout(device, dy.size(), rate, key, dy.data(), grads.fresh(0)); });
  });
}

}  // namespace fettle
