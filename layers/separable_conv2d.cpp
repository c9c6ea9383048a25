#include "layers/separable_conv2d.h"

namespace fettle {

SeparableConv2D::SeparableConv2D(int64_t filters, int64_t kernel_size, const Options& options)
    : filters_(filters), kernel_size_(kernel_size), options_(options) {
  require(filters > 0 && kernel_size > 0,
          "SeparableConv2D: filters and kernel_size must be at least 1");
}

void SeparableConv2D::members(Members& members) {
  members.parameter("depthwise", depthwise_);
  members.parameter("pointwise", pointwise_);
  if (options_.use_bias) members.parameter("bias", bias_);
}

Tensor SeparableConv2D::call(const Tensor& x) {
  require(x.shape().rank() == 4, "SeparableConv2D: the input must be [N,H,W,C], not ", x.shape());
  const int64_t channels = x.shape()[3];
  if (!depthwise_.defined()) {
    depthwise_ = parameter(Initializer::glorot_uniform, {channels, kernel_size_, kernel_size_, 1},
                           trainable());
    pointwise_ = parameter(Initializer::glorot_uniform, {filters_, 1, 1, channels}, trainable());
    if (options_.use_bias) bias_ = parameter(Initializer::zeros, {filters_}, trainable());
  }
  const Tensor y =
      conv2d(x, depthwise_, {},
             {.strides = options_.strides, .padding = options_.padding, .groups = channels});
  const SplitActivation activation(options_.activation);
  return activate(conv2d(y, pointwise_, bias_, {.epilogue = activation.epilogue}), activation.rest);
}

}  // namespace fettle
