#include "engine/ops/dropout.h"

#include "engine/autograd.h"
#include "kernels/dropout/dropout.h"

namespace fettle {

Tensor dropout(const Tensor& x, float rate, RandomKey key) {
  require(rate >= 0 && rate < 1, "dropout: the rate ", rate, " must be at least 0 and below 1");
  Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  on(x, [&](auto device, auto element) {
    using T = decltype(element);
    dropout(device, x.size(), rate, key, x.data<T>(), y.data<T>());
  });
  return record(std::move(y), {x}, [rate, key](const Tensor& dy, Grads& grads) {
    on(dy, [&](auto device, auto element) {
      using T = decltype(element);
      dropout(device, dy.size(), rate, key, dy.data<T>(), grads.fresh<T>(0));
    });
  });
}

}  // namespace fettle
