// U-Net Xception: the car-damage project's network (a U-Net of separable convolutions with residual
// branches, after Chollet's "Image segmentation with a U-Net-like architecture"). 2,058,401
// parameters at 3 channels and one class, of which 3,776 are not trained.
#pragma once

#include <memory>
#include <vector>

#include "layers/batch_normalization.h"
#include "layers/conv2d.h"
#include "layers/conv2d_transpose.h"
#include "layers/separable_conv2d.h"

namespace fettle {

struct UnetXceptionOptions {
  int64_t classes = 1;
  BatchNormalization::Options batch_norm =
      {};  ///< momentum and statistics are that project's study
};

/// Pictures [N,H,W,C], H and W multiples of 16, to logits [N,H,W,classes]. Throws Error for other
/// sizes.
class UnetXception : public Layer {
 public:
  explicit UnetXception(const UnetXceptionOptions& options = {});
  std::string_view kind() const override { return "UnetXception"; }
  void members(Members& members) override;

 protected:
  Tensor call(const Tensor& x) override;

 private:
  /// Two convolutions with batch-norm, and the 1x1 convolution of the block's input beside them.
  template <class Convolution>
  struct Block {
    Convolution conv1, conv2;
    BatchNormalization bn1, bn2;
    Conv2D residual;
  };

  Conv2D first_;
  BatchNormalization first_bn_;
  std::vector<Block<SeparableConv2D>> down_;
  std::vector<Block<Conv2DTranspose>> up_;
  Conv2D output_;
};

}  // namespace fettle
