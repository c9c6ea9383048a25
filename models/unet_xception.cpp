#include "models/unet_xception.h"

#include "engine/ops/activation.h"
#include "engine/ops/arithmetic.h"
#include "engine/ops/pool2d.h"
#include "engine/ops/upsample2d.h"

namespace fettle {

UnetXception::UnetXception(const UnetXceptionOptions& options)
    : first_(32, 3, {.strides = {2, 2}, .padding = Padding::same}),
      first_bn_(options.batch_norm),
      output_(options.classes, 3, {.padding = Padding::same}) {
  require(options.classes > 0, "UnetXception: classes must be at least 1");
  const BatchNormalization bn(options.batch_norm);
  for (const int64_t filters : {64, 128, 256}) {
    const SeparableConv2D conv(filters, 3, {.padding = Padding::same});
    down_.push_back(
        {conv, conv, bn, bn, Conv2D(filters, 1, {.strides = {2, 2}, .padding = Padding::same})});
  }
  for (const int64_t filters : {256, 128, 64, 32}) {
    const Conv2DTranspose conv(filters, 3, {.padding = Padding::same});
    up_.push_back({conv, conv, bn, bn, Conv2D(filters, 1)});
  }
}

void UnetXception::members(Members& members) {
  members.layer("first", first_);
  members.layer("first_bn", first_bn_);
  const auto list = [&](const std::string& name, auto& blocks) {
    for (size_t i = 0; i < blocks.size(); ++i) {
      const std::string block = cat(name, i + 1, "_");
      members.layer(block + "conv1", blocks[i].conv1);
      members.layer(block + "bn1", blocks[i].bn1);
      members.layer(block + "conv2", blocks[i].conv2);
      members.layer(block + "bn2", blocks[i].bn2);
      members.layer(block + "residual", blocks[i].residual);
    }
  };
  list("down", down_);
  list("up", up_);
  members.layer("output", output_);
}

Tensor UnetXception::call(const Tensor& x) {
  require(x.shape().rank() == 4 && x.shape()[1] % 16 == 0 && x.shape()[2] % 16 == 0,
          "UnetXception: height and width must be multiples of 16, not ", x.shape());
  const Pool2dOptions pool = {.pool_size = {3, 3}, .padding = Padding::same};
  Tensor y = relu(first_bn_(first_(x)));
  for (auto& block : down_) {
    const Tensor residual = block.residual(y);
    y = block.bn1(block.conv1(relu(y)));
    y = block.bn2(block.conv2(relu(y)));
    y = max_pool2d(y, pool) + residual;
  }
  for (auto& block : up_) {
    const Tensor residual = block.residual(upsample2d(y, {2, 2}));
    y = block.bn1(block.conv1(relu(y)));
    y = block.bn2(block.conv2(relu(y)));
    y = upsample2d(y, {2, 2}) + residual;
  }
  return output_(y);
}

}  // namespace fettle
