// Activations, elementwise or (softmax) over the last axis.
#pragma once

#include <string>

#include "engine/tensor.h"

namespace fettle {

enum class Activation { linear, relu, relu6, sigmoid, swish, softmax };

Tensor relu(const Tensor& x);
Tensor relu6(const Tensor& x);
Tensor sigmoid(const Tensor& x);
Tensor swish(const Tensor& x);
/// exp(x) / sum of exp(x) over the last axis.
Tensor softmax(const Tensor& x);

/// The activation of that name applied to x; linear gives x itself.
Tensor activate(const Tensor& x, Activation activation);

}  // namespace fettle
