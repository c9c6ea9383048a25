// Res-UNet: a U-Net (Ronneberger et al., MICCAI 2015) whose stages are residual blocks (He et al.,
// CVPR 2016), as the steel-sheet project has it: 27 convolutions, 26 batch-norms and, at 256x256x1
// with 4 kinds of defects, 1,210,276 parameters.
#pragma once

#include <array>

#include "layers/batch_normalization.h"
#include "layers/conv2d.h"
#include "layers/dropout.h"

namespace fettle {

struct ResUnetOptions {
  int64_t classes = 4;  ///< kinds of defects, each with a mask of its own
  int64_t width = 16;   ///< channels of the first stage; every stage down doubles them
  /// In the first stage the activation stands before batch-norm, as that project has it, or after.
  bool relu_before_norm = true;
  float dropout = 0;  ///< after each residual block
  BatchNormalization::Options batch_norm = {};
};

/// relu(bn(conv3x3(relu(bn(conv1x1(x))))) + bn(conv1x1(x))).
class ResidualBlock : public Layer {
 public:
  ResidualBlock(int64_t filters, const ResUnetOptions& options);
  std::string_view kind() const override { return "ResidualBlock"; }
  void members(Members& members) override;

 protected:
  Tensor call(const Tensor& x) override;

 private:
  Conv2D conv1_, conv2_, shortcut_;
  BatchNormalization bn1_, bn2_, bn_shortcut_;
  Dropout dropout_;
};

/// Pictures [N,H,W,C], H and W multiples of 16, to logits [N,H,W,classes]: a sigmoid makes them
/// the masks' probabilities. Throws Error for other sizes.
class ResUnet : public Layer {
 public:
  explicit ResUnet(const ResUnetOptions& options = {});
  std::string_view kind() const override { return "ResUnet"; }
  void members(Members& members) override;

 protected:
  Tensor call(const Tensor& x) override;

 private:
  Tensor first_stage(const Tensor& x);

  ResUnetOptions options_;
  Conv2D conv1_, conv2_;
  BatchNormalization bn1_, bn2_;
  std::array<ResidualBlock, 4> down_;  // the last is the bottom
  std::array<ResidualBlock, 4> up_;
  Conv2D output_;
};

}  // namespace fettle
