// Keras's Conv2D.
#pragma once

#include "engine/ops/activation.h"
#include "engine/ops/conv2d.h"
#include "layers/initializers.h"
#include "layers/layer.h"

namespace fettle {

/// y = activation(conv2d(x, weight) + bias) on [N,H,W,C].
/// Parameters: weight [filters, rows, columns, C/groups], bias [filters].
class Conv2D : public Layer {
 public:
  struct Options {
    std::array<int64_t, 2> strides = {1, 1};
    Padding padding = Padding::valid;
    std::optional<std::array<Pads, 2>> explicit_padding = {};  ///< replaces `padding`
    std::array<int64_t, 2> dilation_rate = {1, 1};
    int64_t groups = 1;
    Activation activation = Activation::linear;
    bool use_bias = true;
    Initializer kernel_initializer = Initializer::glorot_uniform;
  };

  Conv2D(int64_t filters, std::array<int64_t, 2> kernel_size, const Options& options);
  Conv2D(int64_t filters, int64_t kernel_size) : Conv2D(filters, kernel_size, Options()) {}
  Conv2D(int64_t filters, int64_t kernel_size, const Options& options)
      : Conv2D(filters, {kernel_size, kernel_size}, options) {}

  std::string_view kind() const override { return "Conv2D"; }
  void members(Members& members) override;

 protected:
  Tensor call(const Tensor& x) override;

 private:
  int64_t filters_;
  std::array<int64_t, 2> kernel_size_;
  Options options_;
  Tensor weight_, bias_;
};

}  // namespace fettle
