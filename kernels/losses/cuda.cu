#include "kernels/column_sums.cuh"
#include "kernels/elementwise_loop.cuh"
#include "kernels/losses/formulas.h"
#include "kernels/row_loop.cuh"

namespace fettle {
namespace {

template <bool Focal>
struct CategoricalForward {
  CategoricalShape s;
  const float* logits;
  const int32_t* labels;
  const float* class_weights;
  float* loss;

  template <class Row>
  __device__ void row(int64_t n) const {
    const Row row(logits + n * s.K, s.K);
    const float of_row = Focal ? categorical_focal_loss<float>(s, row, labels[n], class_weights)
                               : categorical_loss<float>(s, row, labels[n], class_weights);
    if (row.leads()) loss[n] = of_row;
  }
};

template <bool Focal>
struct CategoricalBackward {
  CategoricalShape s;
  const float* logits;
  const int32_t* labels;
  const float *class_weights, *dloss;
  float* dlogits;

  template <class Row>
  __device__ void row(int64_t n) const {
    const Row row(logits + n * s.K, s.K);
    const float scale = dloss[0] / static_cast<float>(s.N);
    float* const to = dlogits + n * s.K;
    Focal ? categorical_focal_gradient(s, row, labels[n], class_weights, scale, to)
          : categorical_gradient(s, row, labels[n], class_weights, scale, to);
  }
};

template <bool Focal>
struct BinaryForward {
  BinaryShape s;
  const float *logits, *targets, *weights;
  float* loss;
  template <int V>
  __device__ void at(int64_t i) const {
    auto value = load_vec<V>(logits + i);
    const auto t = load_vec<V>(targets + i);
    BinaryWeights all(s, weights, i);
#pragma unroll
    for (int k = 0; k < V; ++k) {
      const float weight = all.next(t[k]);
      value[k] = Focal ? binary_focal_loss(s, weight, value[k], t[k])
                       : binary_loss(s, weight, value[k], t[k]);
    }
    store_vec(loss + i, value);
  }
};

template <bool Focal>
struct BinaryBackward {
  BinaryShape s;
  const float *logits, *targets, *weights, *dloss;
  float* dlogits;
  template <int V>
  __device__ void at(int64_t i) const {
    const float scale = dloss[0] / static_cast<float>(s.n);
    auto value = load_vec<V>(logits + i);
    const auto t = load_vec<V>(targets + i);
    BinaryWeights all(s, weights, i);
#pragma unroll
    for (int k = 0; k < V; ++k) {
      const float weight = scale * all.next(t[k]);
      value[k] = Focal ? binary_focal_gradient(s, weight, value[k], t[k])
                       : binary_gradient(s, weight, value[k], t[k]);
    }
    store_vec(dlogits + i, value);
  }
};

/// f(whether the loss is focal, a constant): kernels of one kind do not carry the other's code.
template <class F>
void by_focal(float gamma, const F& f) {
  gamma == 0 ? f(std::false_type{}) : f(std::true_type{});
}

// The groupings as sums over rows: every group is a batch or a column.
ColumnSumsShape sums_shape(const TverskyShape& s) {
  switch (s.grouping) {
    case Grouping::batch:
      return {1, s.N * s.pixels * s.C, 1};
    case Grouping::picture:
      return {s.N, s.pixels * s.C, 1};
    case Grouping::channel:
      return {1, s.N * s.pixels, static_cast<int>(s.C)};
  }
  return {};
}

struct Overlap {
  const float *probabilities, *targets;
  template <int V>
  __device__ void at(int64_t i, NoNumbers, Vec<float, V> (&values)[3]) const {
    values[1] = load_floats<V>(probabilities + i);
    values[2] = load_floats<V>(targets + i);
    for (int k = 0; k < V; ++k) values[0][k] = values[1][k] * values[2][k];
  }
};

/// A group's loss comes from its sums before they are rounded: where the overlap is good it is the
/// small difference of large numbers.
struct WriteGroup {
  TverskyShape s;
  float* sums;
  double* losses;
  __device__ void operator()(int64_t batch, int column, const double (&total)[3]) const {
    const int64_t group = batch + column;
    for (int i = 0; i < 3; ++i) sums[group * 3 + i] = static_cast<float>(total[i]);
    losses[group] = Tversky{total[0], total[1], total[2]}.loss(s);
  }
};

/// The one warp: the mean of the groups' losses.
__global__ void __launch_bounds__(32)
    tversky_loss_kernel(int64_t groups, const double* __restrict__ losses,
                        float* __restrict__ loss) {
  wait_for_kernels_before();
  double total = 0;
  for (int64_t g = threadIdx.x; g < groups; g += 32) total += losses[g];
  total = warp_sum(total);
  if (threadIdx.x == 0) loss[0] = static_cast<float>(total / static_cast<double>(groups));
}

/// One thread: the two slopes of one group, times dloss / groups.
__global__ void __launch_bounds__(256)
    tversky_slopes_kernel(TverskyShape s, int64_t groups, const float* __restrict__ sums,
                          const float* __restrict__ dloss, float* __restrict__ slopes) {
  wait_for_kernels_before();
  for (int64_t g = strided_first(); g < groups; g += strided_step()) {
    const TverskySlope slope =
        tversky_slope(s, Tversky{sums[3 * g], sums[3 * g + 1], sums[3 * g + 2]});
    const double scale = dloss[0] / static_cast<double>(groups);
    slopes[2 * g] = static_cast<float>(scale * slope.hit);
    slopes[2 * g + 1] = static_cast<float>(scale * slope.miss);
  }
}

struct TverskyBackward {
  Grouping grouping;
  int64_t a_picture, C;
  const float *targets, *slopes;
  float* dprobabilities;
  template <int V>
  __device__ void at(int64_t i) const {
    auto value = load_vec<V>(targets + i);
    if (grouping == Grouping::batch) {
      const float hit = slopes[0], miss = slopes[1];
      for (int k = 0; k < V; ++k) value[k] = hit * value[k] + miss * (1 - value[k]);
      return store_vec(dprobabilities + i, value);
    }
    for (int k = 0; k < V; ++k) {
      const int64_t group = grouping == Grouping::picture ? (i + k) / a_picture : (i + k) % C;
      value[k] = slopes[2 * group] * value[k] + slopes[2 * group + 1] * (1 - value[k]);
    }
    store_vec(dprobabilities + i, value);
  }
};

}  // namespace

void categorical_cross_entropy_forward(Cuda device, const CategoricalShape& shape,
                                       const float* logits, const int32_t* labels,
                                       const float* class_weights, float* loss) {
  by_focal(shape.gamma, [&](auto focal) {
    row_loop("categorical_cross_entropy_forward", device, shape.N, shape.K,
             CategoricalForward<focal>{shape, logits, labels, class_weights, loss}, logits);
  });
}

void categorical_cross_entropy_backward(Cuda device, const CategoricalShape& shape,
                                        const float* logits, const int32_t* labels,
                                        const float* class_weights, const float* dloss,
                                        float* dlogits) {
  by_focal(shape.gamma, [&](auto focal) {
    row_loop("categorical_cross_entropy_backward", device, shape.N, shape.K,
             CategoricalBackward<focal>{shape, logits, labels, class_weights, dloss, dlogits},
             logits, dlogits);
  });
}

void binary_cross_entropy_forward(Cuda device, const BinaryShape& shape, const float* logits,
                                  const float* targets, const float* weights, float* loss) {
  by_focal(shape.gamma, [&](auto focal) {
    elementwise("binary_cross_entropy_forward", device, shape.n,
                BinaryForward<focal>{shape, logits, targets, weights, loss}, logits, targets, loss);
  });
}

void binary_cross_entropy_backward(Cuda device, const BinaryShape& shape, const float* logits,
                                   const float* targets, const float* weights, const float* dloss,
                                   float* dlogits) {
  by_focal(shape.gamma, [&](auto focal) {
    elementwise("binary_cross_entropy_backward", device, shape.n,
                BinaryBackward<focal>{shape, logits, targets, weights, dloss, dlogits}, logits,
                targets, dlogits);
  });
}

void tversky_forward(Cuda device, const TverskyShape& shape, const float* probabilities,
                     const float* targets, float* sums, float* loss) {
  const ColumnSumsShape by_group = sums_shape(shape);
  double* losses = scratch<double>(device, shape.groups(), 1);  // column_sums() has slot 0
  column_sums<3, double>("tversky_forward", device, by_group, Overlap{probabilities, targets},
                         WriteGroup{shape, sums, losses}, probabilities, targets);
  launch("tversky_forward", tversky_loss_kernel, 1, 32, 0, device, shape.groups(), losses, loss);
}

void tversky_backward(Cuda device, const TverskyShape& shape, const float* targets,
                      const float* sums, const float* dloss, float* dprobabilities) {
  float* slopes = scratch<float>(device, 2 * shape.groups());
  launch("tversky_backward", tversky_slopes_kernel, strided_blocks(shape.groups(), 256), 256, 0,
         device, shape, shape.groups(), sums, dloss, slopes);
  elementwise("tversky_backward", device, shape.N * shape.pixels * shape.C,
              TverskyBackward{shape.grouping, shape.pixels * shape.C, shape.C, targets, slopes,
                              dprobabilities},
              targets, dprobabilities);
}

}  // namespace fettle
