#include <cmath>

#include "kernels/batch_norm/1_column_a_thread.cuh"
#include "kernels/batch_norm/2_two_stage.cuh"
#include "kernels/batch_norm/rungs.h"
#include "kernels/channel_loop.cuh"

namespace fettle {
namespace {

struct Apply {
  float epsilon;
  const float *x, *gamma, *beta, *mean, *variance;
  float* y;

  template <int V>
  struct Columns {
    Vec<float, V> scale, mean, beta;
  };
  template <int V>
  __device__ Columns<V> columns(int c) const {
    Columns<V> p;
    for (int k = 0; k < V; ++k) {
      p.scale[k] = gamma[c + k] / std::sqrt(variance[c + k] + epsilon);
      p.mean[k] = mean[c + k];
      p.beta[k] = beta[c + k];
    }
    return p;
  }
  template <int V>
  __device__ void at(int64_t i, const Columns<V>& p) const {
    auto value = load_vec<V>(x + i);
    for (int k = 0; k < V; ++k) value[k] = (value[k] - p.mean[k]) * p.scale[k] + p.beta[k];
    store_vec(y + i, value);
  }
};

/// dx = scale * (dy - of_constant - (x - mean) * of_slope).
struct BackwardInput {
  int64_t rows;
  float epsilon;
  bool of_batch;
  const float *dy, *x, *gamma, *mean, *variance, *dgamma, *dbeta;
  float* dx;

  template <int V>
  struct Columns {
    Vec<float, V> scale, mean, of_constant, of_slope;
  };
  template <int V>
  __device__ Columns<V> columns(int c) const {
    Columns<V> p = {};
    for (int k = 0; k < V; ++k) {
      const float inverse = 1.0f / std::sqrt(variance[c + k] + epsilon);
      p.scale[k] = gamma[c + k] * inverse;
      if (!of_batch) continue;
      p.mean[k] = mean[c + k];
      p.of_constant[k] = dbeta[c + k] / static_cast<float>(rows);
      p.of_slope[k] = dgamma[c + k] * inverse / static_cast<float>(rows);
    }
    return p;
  }
  template <int V>
  __device__ void at(int64_t i, const Columns<V>& p) const {
    auto value = load_vec<V>(dy + i);
    if (of_batch) {
      const auto input = load_vec<V>(x + i);
      for (int k = 0; k < V; ++k) {
        value[k] -= p.of_constant[k] + (input[k] - p.mean[k]) * p.of_slope[k];
      }
    }
    for (int k = 0; k < V; ++k) value[k] *= p.scale[k];
    store_vec(dx + i, value);
  }
};

}  // namespace

BatchNormRung plan_batch_norm(const BatchNormShape& shape) {
  return shape.rows < 32 ? BatchNormRung::column_a_thread : BatchNormRung::two_stage;
}

void batch_norm_statistics(Cuda device, BatchNormRung rung, const BatchNormShape& s, const float* x,
                           float* mean, float* variance) {
  if (rung == BatchNormRung::column_a_thread) {
    launch("batch_norm_statistics", batch_norm_statistics_column_kernel, strided_blocks(s.C, 256),
           256, 0, device, s.rows, s.C, x, mean, variance);
    return;
  }
  const ColumnSumsShape sums = {.rows = s.rows, .columns = static_cast<int>(s.C)};
  const BatchNormMean of_mean = {x, s.rows, s.C, mean};
  column_sums<1>("batch_norm_statistics", device, sums, of_mean, of_mean);
  const BatchNormVariance of_variance = {x, mean, s.rows, s.C, variance};
  column_sums<1>("batch_norm_statistics", device, sums, of_variance, of_variance);
}

void batch_norm_statistics(Cuda device, const BatchNormShape& shape, const float* x, float* mean,
                           float* variance) {
  batch_norm_statistics(device, plan_batch_norm(shape), shape, x, mean, variance);
}

void batch_norm_apply(Cuda device, const BatchNormShape& shape, float epsilon, const float* x,
                      const float* gamma, const float* beta, const float* mean,
                      const float* variance, float* y) {
  channel_loop("batch_norm_apply", device, shape.rows, shape.C,
               Apply{epsilon, x, gamma, beta, mean, variance, y}, x, y);
}

void batch_norm_backward_parameters(Cuda device, BatchNormRung rung, const BatchNormShape& s,
                                    float epsilon, const float* dy, const float* x,
                                    const float* mean, const float* variance, float* dgamma,
                                    float* dbeta) {
  if (rung == BatchNormRung::column_a_thread) {
    launch("batch_norm_backward_parameters", batch_norm_parameters_column_kernel,
           strided_blocks(s.C, 256), 256, 0, device, s.rows, s.C, epsilon, dy, x, mean, variance,
           dgamma, dbeta);
    return;
  }
  const BatchNormParameters of_both = {dy, x, mean, variance, s.C, epsilon, dgamma, dbeta};
  column_sums<2>("batch_norm_backward_parameters", device,
                 {.rows = s.rows, .columns = static_cast<int>(s.C)}, of_both, of_both);
}

void batch_norm_backward_parameters(Cuda device, const BatchNormShape& shape, float epsilon,
                                    const float* dy, const float* x, const float* mean,
                                    const float* variance, float* dgamma, float* dbeta) {
  batch_norm_backward_parameters(device, plan_batch_norm(shape), shape, epsilon, dy, x, mean,
                                 variance, dgamma, dbeta);
}

void batch_norm_backward_input(Cuda device, const BatchNormShape& shape, float epsilon,
                               bool of_batch, const float* dy, const float* x, const float* gamma,
                               const float* mean, const float* variance, const float* dgamma,
                               const float* dbeta, float* dx) {
  channel_loop(
      "batch_norm_backward_input", device, shape.rows, shape.C,
      BackwardInput{shape.rows, epsilon, of_batch, dy, x, gamma, mean, variance, dgamma, dbeta, dx},
      dy, x, dx);
}

}  // namespace fettle
