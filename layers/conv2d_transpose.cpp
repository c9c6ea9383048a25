#include "layers/conv2d_transpose.h"

namespace fettle {

Conv2DTranspose::Conv2DTranspose(int64_t filters, int64_t kernel_size, const Options& options)
    : filters_(filters), kernel_size_(kernel_size), options_(options) {
  require(filters > 0 && kernel_size > 0,
          "Conv2DTranspose: filters and kernel_size must be at least 1");
}

void Conv2DTranspose::members(Members& members) {
  members.parameter("weight", weight_);
  if (options_.use_bias) members.parameter("bias", bias_);
}

Tensor Conv2DTranspose::call(const Tensor& x) {
  if (!weight_.defined()) {
    require(x.shape().rank() == 4, "Conv2DTranspose: the input must be [N,H,W,C], not ", x.shape());
    weight_ = parameter(options_.kernel_initializer,
                        {x.shape()[3], kernel_size_, kernel_size_, filters_}, trainable());
    if (options_.use_bias) bias_ = parameter(Initializer::zeros, {filters_}, trainable());
  }
  const SplitActivation activation(options_.activation);
  return activate(conv2d_transpose(x, weight_, bias_,
                                   {.strides = options_.strides,
                                    .padding = options_.padding,
                                    .epilogue = activation.epilogue}),
                  activation.rest);
}

}  // namespace fettle
