// Keras's augmentation layers: they change pictures [N,H,W,C] in training and do nothing otherwise.
// Every picture has its own draw, which depends on the seed, the step and its place in the batch.
// Masks go through the same geometry as their pictures, nearest, so that they stay 0 or 1.
#pragma once

#include "layers/layer.h"

namespace fettle {

/// A layer that changes pictures in training.
class RandomLayer : public Layer {
 public:
  /// Changes pictures [N,H,W,C] and, where it is not nullptr, their masks [N,H,W,K] alike. Only
  /// within a TrainingScope.
  virtual void apply(Tensor& x, Tensor* masks) = 0;

 protected:
  Tensor call(const Tensor& x) override;
};

/// Random layers one after another.
class Augmentation : public RandomLayer {
 public:
  std::string_view kind() const override { return "Augmentation"; }
  void members(Members& members) override;
  void apply(Tensor& x, Tensor* masks) override;

  template <class L>
  void add(L layer) {
    layers_.push_back(std::make_unique<L>(std::move(layer)));
  }

 private:
  std::vector<std::unique_ptr<RandomLayer>> layers_;
};

enum class FlipMode { horizontal, vertical, horizontal_and_vertical };

/// Mirrors a picture in each of the mode's directions with probability one half.
class RandomFlip : public RandomLayer {
 public:
  explicit RandomFlip(FlipMode mode = FlipMode::horizontal_and_vertical) : mode_(mode) {}
  std::string_view kind() const override { return "RandomFlip"; }
  void apply(Tensor& x, Tensor* masks) override;

 private:
  FlipMode mode_;
};

/// Turns by an angle from U[-factor, factor] of a full turn about the centre, bilinear, mirrored at
/// the edges: 0.1 means up to 36 degrees.
class RandomRotation : public RandomLayer {
 public:
  explicit RandomRotation(float factor) : factor_(factor) {}
  std::string_view kind() const override { return "RandomRotation"; }
  void apply(Tensor& x, Tensor* masks) override;

 private:
  float factor_;
};

/// Zooms by a factor from U[1 - factor, 1 + factor], the same for height and width; above 1 zooms
/// out. Bilinear, mirrored at the edges.
class RandomZoom : public RandomLayer {
 public:
  explicit RandomZoom(float factor) : RandomZoom(factor, -1) {}
  /// With a width factor of its own.
  RandomZoom(float height_factor, float width_factor)
      : height_factor_(height_factor), width_factor_(width_factor) {}
  std::string_view kind() const override { return "RandomZoom"; }
  void apply(Tensor& x, Tensor* masks) override;

 private:
  float height_factor_, width_factor_;  // a negative width factor follows the height
};

/// (x - mean of the channel) * f + mean, f from U[1 - factor, 1 + factor].
class RandomContrast : public RandomLayer {
 public:
  explicit RandomContrast(float factor) : factor_(factor) {}
  std::string_view kind() const override { return "RandomContrast"; }
  void apply(Tensor& x, Tensor* masks) override;

 private:
  float factor_;
};

/// x + d, d from U[-factor, factor] * 255, kept between 0 and 255.
class RandomBrightness : public RandomLayer {
 public:
  explicit RandomBrightness(float factor) : factor_(factor) {}
  std::string_view kind() const override { return "RandomBrightness"; }
  void apply(Tensor& x, Tensor* masks) override;

 private:
  float factor_;
};

}  // namespace fettle
