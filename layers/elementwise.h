// Keras's Flatten, Rescaling and ReLU: layers without parameters around one operation.
#pragma once

#include "engine/ops/activation.h"
#include "engine/ops/arithmetic.h"
#include "engine/ops/reshape.h"
#include "layers/layer.h"

namespace fettle {

/// [N,...] to [N,C].
class Flatten : public Layer {
 public:
  std::string_view kind() const override { return "Flatten"; }

 protected:
  Tensor call(const Tensor& x) override { return flatten(x); }
};

/// scale * x + offset, in training and in prediction alike.
class Rescaling : public Layer {
 public:
  explicit Rescaling(float scale, float offset = 0) : scale_(scale), offset_(offset) {}
  std::string_view kind() const override { return "Rescaling"; }

 protected:
  Tensor call(const Tensor& x) override { return rescale(x, scale_, offset_); }

 private:
  float scale_, offset_;
};

/// max(x, 0).
class ReLU : public Layer {
 public:
  std::string_view kind() const override { return "ReLU"; }

 protected:
  Tensor call(const Tensor& x) override { return relu(x); }
};

}  // namespace fettle
