#include "engine/ops/cast.h"

#include "engine/autograd.h"
#include "kernels/conv2d/plan.h"
#include "kernels/elementwise/elementwise.h"

namespace fettle {
namespace {

/// From `from` into `to`, one of them f32 and the other bf16.
void convert(const Tensor& from, Tensor& to) {
  on(from.device(), [&](auto device) {
    if constexpr (std::is_same_v<decltype(device), Cuda>) {
      if (to.dtype() == DType::bf16) {
        fettle::convert(device, from.size(), from.data(), to.data<bf16>());
      } else {
        fettle::convert(device, from.size(), from.data<bf16>(), to.data());
      }
    } else {
      throw Error("bf16 tensors are for GPUs; on the CPU activations are f32");
    }
  });
}

}  // namespace

Tensor cast(const Tensor& x, DType dtype) {
  if (!x.defined() || x.dtype() == dtype) return x;
  Tensor y = Tensor::empty(x.shape(), dtype, x.device());
  convert(x, y);
  return record(std::move(y), {x}, [from = x.dtype()](const Tensor& dy, Grads& grads) {
    grads.pass(0, cast(dy, from));
  });
}

Tensor as_activation(const Tensor& x) {
  const bool rounded = x.device().is_cuda() && gpu_precision() == Precision::bf16;
  return cast(x, rounded ? DType::bf16 : DType::f32);
}

}  // namespace fettle
