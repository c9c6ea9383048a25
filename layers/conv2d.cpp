#include "layers/conv2d.h"

namespace fettle {

Conv2D::Conv2D(int64_t filters, std::array<int64_t, 2> kernel_size, const Options& options)
    : filters_(filters), kernel_size_(kernel_size), options_(options) {
  require(filters > 0 && kernel_size[0] > 0 && kernel_size[1] > 0,
          "Conv2D: filters and kernel_size must be at least 1");
}

void Conv2D::members(Members& members) {
  members.parameter("weight", weight_);
  if (options_.use_bias) members.parameter("bias", bias_);
}

Tensor Conv2D::call(const Tensor& x) {
  if (!weight_.defined()) {
    require(x.shape().rank() == 4, "Conv2D: the input must be [N,H,W,C], not ", x.shape());
    weight_ = parameter(
        options_.kernel_initializer,
        {filters_, kernel_size_[0], kernel_size_[1], x.shape()[3] / options_.groups}, trainable());
    if (options_.use_bias) bias_ = parameter(Initializer::zeros, {filters_}, trainable());
  }
  const SplitActivation activation(options_.activation);
  return activate(conv2d(x, weight_, bias_,
                         {.strides = options_.strides,
                          .padding = options_.padding,
                          .explicit_padding = options_.explicit_padding,
                          .dilation = options_.dilation_rate,
                          .groups = options_.groups,
                          .epilogue = activation.epilogue}),
                  activation.rest);
}

}  // namespace fettle
