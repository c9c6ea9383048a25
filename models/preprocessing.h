// What pictures are turned into before a network whose weights were trained on such numbers sees
// them, chosen by a text, as the option --preprocess gives it.
#pragma once

#include <string>
#include <vector>

#include "layers/layer.h"

namespace fettle {

/// Pictures [N,H,W,C], 0 to 255, RGB or grey, as
///   imagenet   (x / 255 - mean) / deviation of ImageNet's channels: torchvision, timm
///   caffe      BGR minus 103.939, 116.779, 123.68: Keras's ResNet v1
///   unit       x / 255
///   symmetric  x / 127.5 - 1: Keras's MobileNet, Inception, Xception
///   none       x itself
/// imagenet and caffe make three channels of a grey picture, too. The layer stands inside the
/// model, so that training and every kind of prediction see the same numbers.
class Preprocessing : public Layer {
 public:
  /// Throws Error listing the texts when `text` is none of them; "default" means `usual`.
  explicit Preprocessing(const std::string& text, const std::string& usual = "none");
  std::string_view kind() const override { return "Preprocessing"; }
  /// Every text but "default".
  static const std::vector<std::string>& texts();

 protected:
  Tensor call(const Tensor& x) override;

 private:
  std::string text_;
};

}  // namespace fettle
