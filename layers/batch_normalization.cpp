#include "layers/batch_normalization.h"

#include "engine/autograd.h"
#include "engine/ops/batch_norm.h"
#include "engine/random.h"
#include "layers/initializers.h"

namespace fettle {

void BatchNormalization::members(Members& members) {
  members.parameter("weight", weight_);
  members.parameter("bias", bias_);
  members.buffer("running_mean", running_mean_);
  members.buffer("running_var", running_var_);
}

Tensor BatchNormalization::call(const Tensor& x) {
  if (!weight_.defined()) {
    require(x.shape().rank() >= 2, "BatchNormalization: the input must be [...,C], not ",
            x.shape());
    const Shape channels = {x.shape()[-1]};
    weight_ = parameter(Initializer::ones, channels, trainable());
    bias_ = parameter(Initializer::zeros, channels, trainable());
    running_mean_ = initial(Initializer::zeros, channels);
    running_var_ = initial(Initializer::ones, channels);
  }
  const bool learning = is_training() && trainable();
  if (!learning && options_.statistics == Statistics::Moving) {
    return batch_norm_inference(x, weight_, bias_, running_mean_, running_var_, options_.epsilon);
  }
  Tensor mean, variance;
  const auto moving =
      learning ? std::optional(MovingStatistics{running_mean_, running_var_, options_.momentum})
               : std::nullopt;
  return batch_norm_training(x, weight_, bias_, options_.epsilon, mean, variance, moving);
}

}  // namespace fettle
