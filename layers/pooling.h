// Keras's pooling layers.
#pragma once

#include "engine/ops/pool2d.h"
#include "layers/layer.h"

namespace fettle {

/// The largest value of each window; strides default to the window.
class MaxPooling2D : public Layer {
 public:
  explicit MaxPooling2D(int64_t pool_size = 2) : MaxPooling2D(square(pool_size)) {}
  explicit MaxPooling2D(const Pool2dOptions& options) : options_(options) {}
  std::string_view kind() const override { return "MaxPooling2D"; }
  /// Windows of size x size, side by side.
  static Pool2dOptions square(int64_t size) { return {{size, size}, {size, size}, {}, {}}; }

 protected:
  Tensor call(const Tensor& x) override { return max_pool2d(x, options_); }

 private:
  Pool2dOptions options_;
};

/// The mean of each window; strides default to the window.
class AveragePooling2D : public Layer {
 public:
  explicit AveragePooling2D(int64_t pool_size = 2)
      : AveragePooling2D(MaxPooling2D::square(pool_size)) {}
  explicit AveragePooling2D(const Pool2dOptions& options) : options_(options) {}
  std::string_view kind() const override { return "AveragePooling2D"; }

 protected:
  Tensor call(const Tensor& x) override { return average_pool2d(x, options_); }

 private:
  Pool2dOptions options_;
};

/// The mean of each channel, [N,C].
class GlobalAveragePooling2D : public Layer {
 public:
  std::string_view kind() const override { return "GlobalAveragePooling2D"; }

 protected:
  Tensor call(const Tensor& x) override { return global_average_pool2d(x); }
};

/// The largest value of each channel, [N,C]: is there such a thing anywhere in the picture?
class GlobalMaxPooling2D : public Layer {
 public:
  std::string_view kind() const override { return "GlobalMaxPooling2D"; }

 protected:
  Tensor call(const Tensor& x) override { return global_max_pool2d(x); }
};

}  // namespace fettle
