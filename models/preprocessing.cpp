#include "models/preprocessing.h"

#include <algorithm>
#include <array>

#include "engine/argument_error.h"
#include "engine/ops/arithmetic.h"
#include "engine/ops/conv2d.h"

namespace fettle {
namespace {

/// Output channel k is scale[k] * x[from[k]] + offset[k].
struct ChannelMap {
  std::array<int64_t, 3> from;
  std::array<float, 3> scale, offset;
};

ChannelMap imagenet() {
  constexpr std::array<float, 3> mean = {0.485f, 0.456f, 0.406f};
  constexpr std::array<float, 3> deviation = {0.229f, 0.224f, 0.225f};
  ChannelMap map{{0, 1, 2}, {}, {}};
  for (size_t k = 0; k < 3; ++k) {
    map.scale[k] = 1 / (255 * deviation[k]);
    map.offset[k] = -mean[k] / deviation[k];
  }
  return map;
}

constexpr ChannelMap caffe = {{2, 1, 0}, {1, 1, 1}, {-103.939f, -116.779f, -123.68f}};

/// A 1x1 convolution with these numbers.
Tensor apply(const ChannelMap& map, const Tensor& x) {
  require(x.shape().rank() == 4 && (x.shape()[3] == 1 || x.shape()[3] == 3),
          "Preprocessing: the input must be pictures [N,H,W,C] of 1 or 3 channels, not ",
          x.shape());
  const int64_t C = x.shape()[3];
  std::array<float, 9> weight = {};
  for (size_t k = 0; k < 3; ++k) {
    const int64_t from = C == 1 ? 0 : map.from[k];
    weight[k * static_cast<size_t>(C) + static_cast<size_t>(from)] = map.scale[k];
  }
  const auto numbers = std::span<const float>(weight).first(static_cast<size_t>(3 * C));
  return conv2d(x, Tensor::from({3, 1, 1, C}, numbers, x.device()),
                Tensor::from({3}, std::span<const float>(map.offset), x.device()), {});
}

}  // namespace

const std::vector<std::string>& Preprocessing::texts() {
  static const std::vector<std::string> all = {"imagenet", "caffe", "unit", "symmetric", "none"};
  return all;
}

Preprocessing::Preprocessing(const std::string& text, const std::string& usual)
    : text_(text == "default" ? usual : text) {
  require_argument(std::find(texts().begin(), texts().end(), text_) != texts().end(),
                   "--preprocess ", text_,
                   " is not known; choose imagenet, caffe, unit, symmetric, none or default");
}

Tensor Preprocessing::call(const Tensor& x) {
  if (text_ == "imagenet") return apply(imagenet(), x);
  if (text_ == "caffe") return apply(caffe, x);
  if (text_ == "unit") return rescale(x, 1.0f / 255);
  if (text_ == "symmetric") return rescale(x, 1 / 127.5f, -1);
  return x;
}

}  // namespace fettle
