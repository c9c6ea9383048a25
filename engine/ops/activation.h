// Activations, elementwise or (softmax) over the last axis.
#pragma once

#include <string>

#include "engine/tensor.h"
#include "kernels/epilogue/epilogue.h"

namespace fettle {

enum class Activation { linear, relu, relu6, sigmoid, swish, softmax };

/// max(x, 0).
Tensor relu(const Tensor& x);
/// min(max(x, 0), 6). Howard et al., "MobileNets", arXiv 1704.04861.
Tensor relu6(const Tensor& x);
/// 1 / (1 + exp(-x)).
Tensor sigmoid(const Tensor& x);
/// x * sigmoid(x). Ramachandran et al., "Searching for activation functions", arXiv 1710.05941.
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
