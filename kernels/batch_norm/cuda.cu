#include <cmath>
#include <type_traits>

#include "kernels/batch_norm/1_column_a_thread.cuh"
#include "kernels/batch_norm/2_two_stage.cuh"
#include "kernels/batch_norm/rungs.h"
#include "kernels/channel_loop.cuh"

namespace fettle {
namespace {

template <bool two>
struct Apply {
  BatchNormSum sum;
  float* y;

  template <int V>
  __device__ auto columns(int c) const {
    return batch_norm_columns<V, two>(sum, c);
  }
  template <int V>
  __device__ void at(int64_t i, const BatchNormSumColumns<V, two>& columns) const {
    Vec<float, V> deviation[1 + two];
    auto value = columns.before(sum, i, deviation);
    for (int k = 0; k < V; ++k) {
      if (sum.epilogue == Epilogue::relu && value[k] < 0) value[k] = 0;
    }
    store_vec(y + i, value);
  }
};

/// dx = scale * (dz - of_constant - (x - mean) * of_slope) for each term.
template <bool two>
struct BackwardInput {
  BatchNormSum sum;
  int64_t rows;
  const float* dy;
  BatchNormGradients gradients;
  float* dx[2];

  template <int V>
  struct Columns {
    BatchNormSumColumns<V, two> forward;
    Vec<float, V> of_constant[1 + two], of_slope[1 + two];
  };
  template <int V>
  __device__ Columns<V> columns(int c) const {
    Columns<V> p = {batch_norm_columns<V, two>(sum, c), {}, {}};
    for (int n = 0; n <= two; ++n) {
      const BatchNormTerm& t = sum.terms[n];
      if (!t.of_batch || !dx[n]) continue;
      for (int k = 0; k < V; ++k) {
        p.of_constant[n][k] = gradients.dbeta[c + k] / static_cast<float>(rows);
        p.of_slope[n][k] = gradients.dgamma[n][c + k] / std::sqrt(t.variance[c + k] + t.epsilon) /
                           static_cast<float>(rows);
      }
    }
    return p;
  }
  template <int V>
  __device__ void at(int64_t i, const Columns<V>& p) const {
    Vec<float, V> deviation[1 + two];
    const auto before = p.forward.before(sum, i, deviation);
    auto dz = load_vec<V>(dy + i);
    for (int k = 0; k < V; ++k) dz[k] = batch_norm_through(sum.epilogue, before[k], dz[k]);
    for (int n = 0; n <= two; ++n) {
      if (!dx[n]) continue;
      Vec<float, V> value;
      for (int k = 0; k < V; ++k) {
        value[k] = p.forward.terms[n].scale[k] *
                   (dz[k] - p.of_constant[n][k] - deviation[n][k] * p.of_slope[n][k]);
      }
      store_vec(dx[n] + i, value);
    }
  }
};

/// f(std::bool_constant) with whether the sum has two terms.
template <class F>
void by_terms(const BatchNormSum& sum, const F& f) {
  sum.terms[1].x ? f(std::true_type{}) : f(std::false_type{});
}

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

void batch_norm_apply(Cuda device, const BatchNormShape& shape, const BatchNormSum& sum, float* y) {
  by_terms(sum, [&](auto two) {
    channel_loop("batch_norm_apply", device, shape.rows, shape.C, Apply<two>{sum, y},
                 sum.terms[0].x, sum.terms[1].x, y);
  });
}

void batch_norm_backward_parameters(Cuda device, BatchNormRung rung, const BatchNormShape& s,
                                    const BatchNormSum& sum, const float* dy,
                                    const BatchNormGradients& gradients) {
  by_terms(sum, [&](auto two) {
    if (rung == BatchNormRung::column_a_thread) {
      launch("batch_norm_backward_parameters", batch_norm_parameters_column_kernel<two>,
             strided_blocks(s.C, 256), 256, 0, device, s.rows, s.C, sum, dy, gradients);
      return;
    }
    const BatchNormParameters<two> of_all = {sum, s.C, dy, gradients};
    column_sums<2 + two>("batch_norm_backward_parameters", device,
                         {.rows = s.rows, .columns = static_cast<int>(s.C)}, of_all, of_all);
  });
}

void batch_norm_backward_parameters(Cuda device, const BatchNormShape& shape,
                                    const BatchNormSum& sum, const float* dy,
                                    const BatchNormGradients& gradients) {
  batch_norm_backward_parameters(device, plan_batch_norm(shape), shape, sum, dy, gradients);
}

void batch_norm_backward_input(Cuda device, const BatchNormShape& shape, const BatchNormSum& sum,
                               const float* dy, const BatchNormGradients& gradients, float* dx_0,
                               float* dx_1) {
  by_terms(sum, [&](auto two) {
    channel_loop("batch_norm_backward_input", device, shape.rows, shape.C,
                 BackwardInput<two>{sum, shape.rows, dy, gradients, {dx_0, dx_1}}, sum.terms[0].x,
                 sum.terms[1].x, dy, dx_0, dx_1);
  });
}

}  // namespace fettle
