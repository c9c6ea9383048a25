#include "layers/dense.h"

#include "engine/ops/dense.h"

namespace fettle {

Dense::Dense(int64_t units, Activation activation, bool use_bias)
    : units_(units), activation_(activation), use_bias_(use_bias) {
  require(units > 0, "Dense: units must be at least 1");
}

void Dense::members(Members& members) {
  members.parameter("weight", weight_);
  if (use_bias_) members.parameter("bias", bias_);
}

Tensor Dense::call(const Tensor& x) {
  if (!weight_.defined()) {
    require(x.shape().rank() == 2, "Dense: the input must be [N,C], not ", x.shape(),
            "; put a Flatten layer before it");
    weight_ = parameter(Initializer::glorot_uniform, {units_, x.shape()[1]}, trainable());
    if (use_bias_) bias_ = parameter(Initializer::zeros, {units_}, trainable());
  }
  const SplitActivation activation(activation_);
  return activate(dense(x, weight_, bias_, activation.epilogue), activation.rest);
}

}  // namespace fettle
