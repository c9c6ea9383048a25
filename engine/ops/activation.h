// Activations, elementwise or (softmax) over the last axis.
#pragma once

#include <string>

#include "engine/tensor.h"
#include "kernels/epilogue/epilogue.h"

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

/// An activation as what a convolution or a dense layer applies itself, before it writes its sums,
/// and what is left to do.
struct SplitActivation {
  explicit SplitActivation(Activation whole)
      : epilogue(whole == Activation::relu ? Epilogue::relu : Epilogue::linear),
        rest(whole == Activation::relu ? Activation::linear : whole) {}
  Epilogue epilogue;
  Activation rest;
};

}  // namespace fettle
