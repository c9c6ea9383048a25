// Keras's SeparableConv2D.
#pragma once

#include "engine/ops/activation.h"
#include "engine/ops/conv2d.h"
#include "layers/initializers.h"
#include "layers/layer.h"

namespace fettle {

/// A convolution of each channel by itself, then one of single pixels over all channels:
/// y = activation(conv2d(conv2d_by_channel(x, depthwise), pointwise) + bias). Chollet: "Xception",
/// CVPR 2017. Parameters: depthwise [C, rows, columns, 1], pointwise [filters, 1, 1, C], bias
/// [filters].
class SeparableConv2D : public Layer {
 public:
  struct Options {
    std::array<int64_t, 2> strides = {1, 1};
    Padding padding = Padding::valid;
    Activation activation = Activation::linear;
    bool use_bias = true;
  };

  SeparableConv2D(int64_t filters, int64_t kernel_size, const Options& options);

  std::string_view kind() const override { return "SeparableConv2D"; }
  void members(Members& members) override;

 protected:
  Tensor call(const Tensor& x) override;

 private:
  int64_t filters_, kernel_size_;
  Options options_;
  Tensor depthwise_, pointwise_, bias_;
};

}  // namespace fettle
