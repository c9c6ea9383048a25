#include "engine/ops/dropout.h"

#include "engine/autograd.h"
#include "engine/cuda_graph.h"
#include "engine/random.h"
#include "kernels/dropout/dropout.h"

namespace fettle {

Tensor dropout(const Tensor& x, float rate, RandomKey key) {
  require(rate >= 0 && rate < 1, "dropout: the rate ", rate, " must be at least 0 and below 1");
  Tensor step;
  if (is_capturing()) {
    step = host_made<int32_t>({1}, x.device(), [key] {
      return std::vector<int32_t>{static_cast<int32_t>(in_this_step(key).step)};
    });
  }
  const auto drop = [rate, key, step](const Tensor& from, const auto& to) {
    const int32_t* captured_step = step.defined() ? step.data<int32_t>() : nullptr;
    on(from, [&](auto device, auto element) {
      using T = decltype(element);
      dropout(device, from.size(), rate, key, from.data<T>(), to(element), captured_step);
    });
  };
  Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  drop(x, [&](auto element) { return y.data<decltype(element)>(); });
  return record(std::move(y), {x}, [drop](const Tensor& dy, Grads& grads) {
    drop(dy, [&](auto element) { return grads.fresh<decltype(element)>(0); });
  });
}

}  // namespace fettle
