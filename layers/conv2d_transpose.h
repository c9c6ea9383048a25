// Keras's Conv2DTranspose.
#pragma once

#include "engine/ops/activation.h"
#include "engine/ops/conv2d_transpose.h"
#include "layers/initializers.h"
#include "layers/layer.h"

namespace fettle {

/// y = activation(conv2d_transpose(x, weight) + bias) on [N,H,W,C].
/// Parameters: weight [C, rows, columns, filters], bias [filters].
class Conv2DTranspose : public Layer {
 public:
  struct Options {
    std::array<int64_t, 2> strides = {1, 1};
    Padding padding = Padding::valid;
    Activation activation = Activation::linear;
    bool use_bias = true;
    Initializer kernel_initializer = Initializer::glorot_uniform;
  };

  Conv2DTranspose(int64_t filters, int64_t kernel_size, const Options& options);

  std::string_view kind() const override { return "Conv2DTranspose"; }
  void members(Members& members) override;

 protected:
  Tensor call(const Tensor& x) override;

 private:
  int64_t filters_, kernel_size_;
  Options options_;
  Tensor weight_, bias_;
};

}  // namespace fettle
