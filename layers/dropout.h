// Keras's Dropout.
#pragma once

#include "layers/layer.h"

namespace fettle {

/// In training, sets a fraction `rate` of its input to zero and scales the rest by 1 / (1 - rate);
/// otherwise the identity.
class Dropout : public Layer {
 public:
  explicit Dropout(float rate);
  std::string_view kind() const override { return "Dropout"; }

 protected:
  Tensor call(const Tensor& x) override;

 private:
  float rate_;
};

}  // namespace fettle
