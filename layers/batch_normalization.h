// Keras's BatchNormalization.
#pragma once

#include "layers/layer.h"

namespace fettle {

/// Normalises the last axis. In training it uses the batch's statistics and moves its own towards
/// them: moving = momentum * moving + (1 - momentum) * batch, with the biased variance, as Keras 3
/// does. (PyTorch's momentum is 1 - momentum, its running variance is Bessel-corrected and its
/// epsilon 1e-5 by default.) A frozen layer uses the moving statistics in training, too.
/// Parameters: weight (gamma) [C], bias (beta) [C]; buffers: running_mean, running_var [C].
class BatchNormalization : public Layer {
 public:
  enum class Statistics { Moving, Batch };
  struct Options {
    float momentum = 0.99f;
    float epsilon = 1e-3f;
    /// What normalises in prediction. Batch is Keras's call with training=True.
    Statistics statistics = Statistics::Moving;
  };

  BatchNormalization() : BatchNormalization(Options()) {}
  explicit BatchNormalization(const Options& options) : options_(options) {}
  std::string_view kind() const override { return "BatchNormalization"; }
  void members(Members& members) override;
  void set_statistics(Statistics statistics) { options_.statistics = statistics; }

 protected:
  Tensor call(const Tensor& x) override;

 private:
  Options options_;
  Tensor weight_, bias_, running_mean_, running_var_;
};

}  // namespace fettle
