// ResNet: He, Zhang, Ren, Sun, "Deep residual learning for image recognition", CVPR 2016; the
// networks of its table 1 with 18, 34, 50, 101 and 152 layers.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "layers/batch_normalization.h"
#include "layers/conv2d.h"
#include "models/model.h"

namespace fettle {

/// The same network as two libraries have it, so that their weights fit.
///   torchvision  v1.5: a bottleneck's stride is in its 3x3; no convolution has a bias;
///                batch-norm has epsilon 1e-5 and momentum 0.9 in Keras's sense
///   keras        v1: the stride is in the first 1x1; all have a bias; 1.001e-5 and 0.99
/// Names of tensors are torchvision's in both.
enum class ResNetDialect { torchvision, keras };

struct ResNetOptions {
  std::vector<int64_t> blocks = {3, 4, 6, 3};  ///< of each stage
  bool bottleneck = true;                      ///< three convolutions a block, else two
  ResNetDialect dialect = ResNetDialect::torchvision;
  int64_t width = 64;  ///< of the first convolution and stage; every stage on doubles it
  BatchNormalization::Options batch_norm = {.momentum = 0.9f, .epsilon = 1e-5f};
};

/// A block's options; `project` gives its input a convolution on the way to the sum.
struct ResNetBlockOptions {
  int64_t filters, stride;
  bool project;
  ResNetDialect dialect;
  BatchNormalization::Options batch_norm;
};

/// bn(conv1x1(x)): the input of a block whose output has another shape.
class Downsample : public Layer {
 public:
  Downsample(int64_t filters, const ResNetBlockOptions& options);
  std::string_view kind() const override { return "Downsample"; }
  void members(Members& members) override;

 protected:
  Tensor call(const Tensor& x) override { return bn_(conv_(x)); }

 private:
  Conv2D conv_;
  BatchNormalization bn_;
};

/// The block of the shallow networks, figure 5 on the left.
class BasicBlock : public Layer {
 public:
  explicit BasicBlock(const ResNetBlockOptions& options);
  std::string_view kind() const override { return "BasicBlock"; }
  void members(Members& members) override;

 protected:
  Tensor call(const Tensor& x) override;

 private:
  Conv2D conv1_, conv2_;
  BatchNormalization bn1_, bn2_;
  std::optional<Downsample> downsample_;
};

/// The block of the deep networks, figure 5 on the right; it gives four times `filters` channels.
class Bottleneck : public Layer {
 public:
  explicit Bottleneck(const ResNetBlockOptions& options);
  std::string_view kind() const override { return "Bottleneck"; }
  void members(Members& members) override;

 protected:
  Tensor call(const Tensor& x) override;

 private:
  Conv2D conv1_, conv2_, conv3_;
  BatchNormalization bn1_, bn2_, bn3_;
  std::optional<Downsample> downsample_;
};

/// Preprocessed pictures [N,H,W,C] to features [N,h,w,F], h and w a 32nd with four stages.
class ResNet : public Layer {
 public:
  explicit ResNet(const ResNetOptions& options = {});
  std::string_view kind() const override { return "ResNet"; }
  void members(Members& members) override;

 protected:
  Tensor call(const Tensor& x) override;

 private:
  Conv2D conv1_;
  BatchNormalization bn1_;
  std::vector<std::vector<std::unique_ptr<Layer>>> stages_;
};

/// A classifier on a ResNet of 18, 34, 50, 101 or 152 layers.
std::unique_ptr<Layer> resnet(int depth, ResNetDialect dialect, const ModelOptions& options);

/// What Keras calls the layer that is `name` here: "conv3_block1_0_conv" for
/// "layer2.0.downsample.0", "predictions" for "fc"; empty for a layer that Keras's ResNets lack.
std::string keras_resnet_name(const std::string& name);

}  // namespace fettle
