// Keras's UpSampling2D.
#pragma once

#include "engine/ops/upsample2d.h"
#include "layers/layer.h"

namespace fettle {

/// Enlarges [N,H,W,C] by whole factors, nearest by default.
class UpSampling2D : public Layer {
 public:
  explicit UpSampling2D(std::array<int64_t, 2> size = {2, 2},
                        Upsampling interpolation = Upsampling::nearest)
      : size_(size), interpolation_(interpolation) {}
  std::string_view kind() const override { return "UpSampling2D"; }

 protected:
  Tensor call(const Tensor& x) override { return upsample2d(x, size_, interpolation_); }

 private:
  std::array<int64_t, 2> size_;
  Upsampling interpolation_;
};

}  // namespace fettle
