// Between the types of activations.
#pragma once

#include <type_traits>

#include "engine/tensor.h"

namespace fettle {

/// x in `dtype`, f32 or bf16, on the tape; x itself where it has that type.
Tensor cast(const Tensor& x, DType dtype);

/// x in the type that convolutions compute with on its device: bf16 on a GPU if gpu_precision()
/// says so, else f32.
Tensor as_activation(const Tensor& x);

/// The elements of an f32 parameter in the type of the activations, T.
template <class T>
const T* weights_as(const Tensor& w) {
  if constexpr (std::is_same_v<T, bf16>)
    return w.rounded();
  else
    return w.data();
}

/// x in f32, for what wants more than the three digits of bf16: losses, probabilities, sums.
inline Tensor as_f32(const Tensor& x) {
  return cast(x, DType::f32);
}

}  // namespace fettle
