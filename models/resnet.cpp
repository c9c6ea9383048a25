#include "models/resnet.h"

#include <cstdio>

#include "engine/ops/activation.h"
#include "engine/ops/arithmetic.h"
#include "engine/ops/pool2d.h"
#include "models/classifier.h"

namespace fettle {
namespace {

constexpr int64_t expansion = 4;  // of a bottleneck

Conv2D convolution(int64_t filters, int64_t kernel, int64_t stride, ResNetDialect dialect) {
  const Pads pads = {kernel / 2, kernel / 2};
  const bool keras = dialect == ResNetDialect::keras;
  return {filters, kernel,
          Conv2D::Options{
              .strides = {stride, stride},
              .explicit_padding = std::array{pads, pads},
              .use_bias = keras,
              .kernel_initializer = keras ? Initializer::glorot_uniform : Initializer::he_normal}};
}

std::optional<Downsample> downsample(int64_t filters, const ResNetBlockOptions& o) {
  if (!o.project) return std::nullopt;
  return Downsample(filters, o);
}

}  // namespace

Downsample::Downsample(int64_t filters, const ResNetBlockOptions& o)
    : conv_(convolution(filters, 1, o.stride, o.dialect)), bn_(o.batch_norm) {}

void Downsample::members(Members& members) {
  members.layer("0", conv_);
  members.layer("1", bn_);
}

BasicBlock::BasicBlock(const ResNetBlockOptions& o)
    : conv1_(convolution(o.filters, 3, o.stride, o.dialect)),
      conv2_(convolution(o.filters, 3, 1, o.dialect)),
      bn1_(o.batch_norm),
      bn2_(o.batch_norm),
      downsample_(downsample(o.filters, o)) {}

void BasicBlock::members(Members& members) {
  members.layer("conv1", conv1_);
  members.layer("bn1", bn1_);
  members.layer("conv2", conv2_);
  members.layer("bn2", bn2_);
  if (downsample_) members.layer("downsample", *downsample_);
}

Tensor BasicBlock::call(const Tensor& x) {
  Tensor y = relu(bn1_(conv1_(x)));  // 3x3, the stride is here
  y = bn2_(conv2_(y));               // 3x3
  return relu(y + (downsample_ ? (*downsample_)(x) : x));
}

Bottleneck::Bottleneck(const ResNetBlockOptions& o)
    : conv1_(
          convolution(o.filters, 1, o.dialect == ResNetDialect::keras ? o.stride : 1, o.dialect)),
      conv2_(
          convolution(o.filters, 3, o.dialect == ResNetDialect::keras ? 1 : o.stride, o.dialect)),
      conv3_(convolution(expansion * o.filters, 1, 1, o.dialect)),
      bn1_(o.batch_norm),
      bn2_(o.batch_norm),
      bn3_(o.batch_norm),
      downsample_(downsample(expansion * o.filters, o)) {}

void Bottleneck::members(Members& members) {
  members.layer("conv1", conv1_);
  members.layer("bn1", bn1_);
  members.layer("conv2", conv2_);
  members.layer("bn2", bn2_);
  if (downsample_) members.layer("downsample", *downsample_);  // where Keras has it, too
  members.layer("conv3", conv3_);
  members.layer("bn3", bn3_);
}

Tensor Bottleneck::call(const Tensor& x) {
  Tensor y = relu(bn1_(conv1_(x)));  // 1x1, reduce; Keras's stride is here ...
  y = relu(bn2_(conv2_(y)));         // 3x3; ... torchvision's here
  y = bn3_(conv3_(y));               // 1x1, expand
  return relu(y + (downsample_ ? (*downsample_)(x) : x));
}

ResNet::ResNet(const ResNetOptions& o)
    : conv1_(convolution(o.width, 7, 2, o.dialect)), bn1_(o.batch_norm) {
  require(o.width > 0 && !o.blocks.empty(), "ResNet: width and stages must be at least 1");
  int64_t filters = o.width;
  for (const int64_t blocks : o.blocks) {
    auto& stage = stages_.emplace_back();
    for (int64_t i = 0; i < blocks; ++i) {
      const int64_t stride = i == 0 && stages_.size() > 1 ? 2 : 1;
      const bool project = i == 0 && (stride > 1 || o.bottleneck);
      const ResNetBlockOptions block = {filters, stride, project, o.dialect, o.batch_norm};
      if (o.bottleneck) {
        stage.push_back(std::make_unique<Bottleneck>(block));
      } else {
        stage.push_back(std::make_unique<BasicBlock>(block));
      }
    }
    filters *= 2;
  }
}

void ResNet::members(Members& members) {
  members.layer("conv1", conv1_);
  members.layer("bn1", bn1_);
  for (size_t stage = 0; stage < stages_.size(); ++stage)
    for (size_t i = 0; i < stages_[stage].size(); ++i)
      members.layer(cat("layer", stage + 1, '.', i), *stages_[stage][i]);
}

Tensor ResNet::call(const Tensor& x) {
  Tensor y = relu(bn1_(conv1_(x)));  // 7x7, stride 2
  // Zeros around it, as Keras has them, are no different: nothing is below zero.
  y = max_pool2d(y, {.pool_size = {3, 3}, .explicit_padding = std::array{Pads{1, 1}, Pads{1, 1}}});
  for (const auto& stage : stages_)
    for (const auto& block : stage) y = (*block)(y);
  return y;
}

std::unique_ptr<Layer> resnet(int depth, ResNetDialect dialect, const ModelOptions& options) {
  const bool keras = dialect == ResNetDialect::keras;
  ResNetOptions o = {.bottleneck = depth >= 50, .dialect = dialect};
  o.blocks = depth == 18    ? std::vector<int64_t>{2, 2, 2, 2}
             : depth == 101 ? std::vector<int64_t>{3, 4, 23, 3}
             : depth == 152 ? std::vector<int64_t>{3, 8, 36, 3}
                            : std::vector<int64_t>{3, 4, 6, 3};
  if (keras) o.batch_norm = {.momentum = 0.99f, .epsilon = 1.001e-5f};
  o.batch_norm = options.batch_norm(o.batch_norm);
  if (options.width > 0) o.width = options.width;
  return std::make_unique<Classifier>(options, std::make_unique<ResNet>(o),
                                      keras ? "caffe" : "imagenet");
}

std::string keras_resnet_name(const std::string& name) {
  if (name == "conv1") return "conv1_conv";
  if (name == "bn1") return "conv1_bn";
  if (name == "fc") return "predictions";
  int stage = 0, i = 0, end = 0;
  std::sscanf(name.c_str(), "layer%d.%d.%n", &stage, &i, &end);
  if (end == 0) return "";
  const std::string block = cat("conv", stage + 1, "_block", i + 1, '_');
  const std::string part = name.substr(static_cast<size_t>(end));
  if (part == "downsample.0") return block + "0_conv";
  if (part == "downsample.1") return block + "0_bn";
  return cat(block, part.back(), part.starts_with("conv") ? "_conv" : "_bn");
}

}  // namespace fettle
