#include "engine/ops/batch_norm.h"

#include "engine/graph.h"
#include "engine/ops/batch_norm_fusion.h"
#include "engine/ops/conv2d.h"
#include "kernels/batch_norm/batch_norm.h"

namespace fettle {
namespace {

BatchNormShape batch_norm_shape(const Tensor& x, const Tensor& gamma, const Tensor& beta) {
  require(x.shape().rank() >= 2 && x.size() > 0, "batch_norm: the input must be [...,C], not ",
          x.shape());
  check_devices("batch_norm", {x, gamma, beta});
  const int64_t C = x.shape()[-1];
  require(gamma.shape() == Shape{C} && beta.shape() == Shape{C}, "batch_norm: gamma ",
          gamma.shape(), " and beta ", beta.shape(), " do not fit the input ", x.shape());
  return {x.size() / C, C};
}

Tensor normalise(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& mean,
                 const Tensor& variance, float epsilon, bool of_batch) {
  Tensor y = pending_batch_norm(x, gamma, beta, mean, variance, epsilon, of_batch);
  trace(graph::BatchNorm{epsilon, of_batch},
        {x, gamma, beta, of_batch ? Tensor() : mean, of_batch ? Tensor() : variance}, y);
  return y;
}

}  // namespace

Tensor batch_norm_training(const Tensor& x, const Tensor& gamma, const Tensor& beta, float epsilon,
                           Tensor& mean, Tensor& variance,
                           const std::optional<MovingStatistics>& moving) {
  const BatchNormShape s = batch_norm_shape(x, gamma, beta);
  mean = Tensor::empty({s.C}, DType::f32, x.device());
  variance = Tensor::empty({s.C}, DType::f32, x.device());
  BatchNormMoving following;
  if (moving) {
    check_devices("batch_norm", {x, moving->mean, moving->variance});
    require(moving->mean.shape() == Shape{s.C} && moving->variance.shape() == Shape{s.C},
            "batch_norm: moving mean ", moving->mean.shape(), " and variance ",
            moving->variance.shape(), " do not fit the input ", x.shape());
    following = {moving->momentum, moving->mean.data(), moving->variance.data()};
  }
  if (!compute_conv2d_statistics(x, mean.data(), variance.data(), following)) {
    on(x, [&](auto device, auto element) {
      batch_norm_statistics(device, s, x.data<decltype(element)>(), mean.data(), variance.data(),
                            following);
    });
  }
  return normalise(x, gamma, beta, mean, variance, epsilon, true);
}

Tensor batch_norm_inference(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                            const Tensor& mean, const Tensor& variance, float epsilon) {
  const BatchNormShape s = batch_norm_shape(x, gamma, beta);
  require(mean.shape() == Shape{s.C} && variance.shape() == Shape{s.C}, "batch_norm: mean ",
          mean.shape(), " and variance ", variance.shape(), " do not fit the input ", x.shape());
  return normalise(x, gamma, beta, mean, variance, epsilon, false);
}

}  // namespace fettle
