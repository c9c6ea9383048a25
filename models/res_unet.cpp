#include "models/res_unet.h"

#include "engine/ops/activation.h"
#include "engine/ops/arithmetic.h"
#include "engine/ops/concatenate.h"
#include "engine/ops/pool2d.h"
#include "engine/ops/upsample2d.h"

namespace fettle {
namespace {

Conv2D::Options he_same(Activation activation = Activation::linear) {
  return {.padding = Padding::same,
          .activation = activation,
          .kernel_initializer = Initializer::he_normal};
}

/// A convolution of the first stage.
Conv2D first_convolution(const ResUnetOptions& options) {
  return {options.width, 3,
          he_same(options.relu_before_norm ? Activation::relu : Activation::linear)};
}

}  // namespace

ResidualBlock::ResidualBlock(int64_t filters, const ResUnetOptions& options)
    : conv1_(filters, 1, he_same()),
      conv2_(filters, 3, he_same()),
      shortcut_(filters, 1, he_same()),
      bn1_(options.batch_norm),
      bn2_(options.batch_norm),
      bn_shortcut_(options.batch_norm),
      dropout_(options.dropout) {}

void ResidualBlock::members(Members& members) {
  members.layer("conv1", conv1_);
  members.layer("bn1", bn1_);
  members.layer("conv2", conv2_);
  members.layer("bn2", bn2_);
  members.layer("shortcut", shortcut_);
  members.layer("bn_shortcut", bn_shortcut_);
  members.layer("dropout", dropout_);
}

Tensor ResidualBlock::call(const Tensor& x) {
  Tensor y = relu(bn1_(conv1_(x)));
  y = bn2_(conv2_(y));
  return dropout_(relu(y + bn_shortcut_(shortcut_(x))));
}

ResUnet::ResUnet(const ResUnetOptions& options)
    : options_(options),
      conv1_(first_convolution(options)),
      conv2_(first_convolution(options)),
      bn1_(options.batch_norm),
      bn2_(options.batch_norm),
      down_{ResidualBlock(2 * options.width, options), ResidualBlock(4 * options.width, options),
            ResidualBlock(8 * options.width, options), ResidualBlock(16 * options.width, options)},
      up_{ResidualBlock(8 * options.width, options), ResidualBlock(4 * options.width, options),
          ResidualBlock(2 * options.width, options), ResidualBlock(options.width, options)},
      output_(options.classes, 1) {
  require(options.classes > 0 && options.width > 0,
          "ResUnet: classes and width must be at least 1");
}

void ResUnet::members(Members& members) {
  members.layer("conv1", conv1_);
  members.layer("bn1", bn1_);
  members.layer("conv2", conv2_);
  members.layer("bn2", bn2_);
  for (size_t i = 0; i < down_.size(); ++i) members.layer(cat("down", i + 1), down_[i]);
  for (size_t i = 0; i < up_.size(); ++i) members.layer(cat("up", i + 1), up_[i]);
  members.layer("output", output_);
}

Tensor ResUnet::first_stage(const Tensor& x) {
  if (options_.relu_before_norm) return bn2_(conv2_(bn1_(conv1_(x))));
  return relu(bn2_(conv2_(relu(bn1_(conv1_(x))))));
}

Tensor ResUnet::call(const Tensor& x) {
  require(x.shape().rank() == 4 && x.shape()[1] % 16 == 0 && x.shape()[2] % 16 == 0,
          "ResUnet: height and width must be multiples of 16, not ", x.shape());
  std::array<Tensor, 4> skips;
  skips[0] = first_stage(x);
  Tensor y = max_pool2d(skips[0], {});
  for (size_t i = 0; i < 3; ++i) {
    skips[i + 1] = down_[i](y);
    y = max_pool2d(skips[i + 1], {});
  }
  y = down_[3](y);
  for (size_t i = 0; i < up_.size(); ++i) {
    y = up_[i](concatenate({upsample2d(y, {2, 2}), skips[3 - i]}));
  }
  return output_(y);
}

}  // namespace fettle
