// Keras's Dense.
#pragma once

#include "engine/ops/activation.h"
#include "layers/initializers.h"
#include "layers/layer.h"

namespace fettle {

/// y = activation(x * weight^T + bias) on [N,C].
/// Parameters: weight [units, C], bias [units].
class Dense : public Layer {
 public:
  explicit Dense(int64_t units, Activation activation = Activation::linear, bool use_bias = true);

  std::string_view kind() const override { return "Dense"; }
  void members(Members& members) override;

 protected:
  Tensor call(const Tensor& x) override;

 private:
  int64_t units_;
  Activation activation_;
  bool use_bias_;
  Tensor weight_, bias_;
};

}  // namespace fettle
