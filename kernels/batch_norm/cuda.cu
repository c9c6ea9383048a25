#include <cmath>
#include <type_traits>

#include "kernels/batch_norm/1_column_a_thread.cuh"
#include "kernels/batch_norm/2_two_stage.cuh"
#include "kernels/batch_norm/moments.h"
#include "kernels/batch_norm/rungs.h"
#include "kernels/channel_loop.cuh"

namespace fettle {
namespace {

template <BatchNormTerms terms, class T>
struct Apply {
  BatchNormSum<T> sum;
  T* y;

  template <int V>
  __device__ auto columns(int c) const {
    return batch_norm_columns<V, terms>(sum, c);
  }
  template <int V>
  __device__ auto load(int64_t i) const {
    return BatchNormElements<V, terms>(sum, i);
  }
  template <int V>
  __device__ void at(int64_t i, const BatchNormElements<V, terms>& elements,
                     const BatchNormSumColumns<V, terms>& columns) const {
    Vec<float, V> deviation[normalised_terms(terms)];
    auto value = columns.before(elements.x, deviation);
    if (terms == BatchNormTerms::one_and_tensor && sum.mask) {
      unsigned bits = 0;
      for (int k = 0; k < V; ++k) bits |= value[k] > 0 ? 1u << k : 0;
      sum.mask[i / V] = static_cast<uint8_t>(bits);
    }
    for (int k = 0; k < V; ++k) {
      if (sum.epilogue == Epilogue::relu && value[k] < 0) value[k] = 0;
    }
    store_floats(y + i, value);
  }
};

/// dx = scale * (dz - of_constant - (x - mean) * of_slope) for each normalised term.
template <BatchNormTerms terms, class T>
struct BackwardInput {
  static constexpr int normalised = normalised_terms(terms);
  BatchNormSum<T> sum;
  int mask_shift;
  int64_t rows;
  const T* dy;
  BatchNormGradients gradients;
  T* dx[2];

  template <int V>
  struct Columns {
    BatchNormSumColumns<V, terms> forward;
    Vec<float, V> of_constant[normalised], of_slope[normalised];
  };
  template <int V>
  __device__ Columns<V> columns(int c) const {
    Columns<V> p = {batch_norm_columns<V, terms>(sum, c), {}, {}};
    for (int n = 0; n < normalised; ++n) {
      const BatchNormTerm<T>& t = sum.terms[n];
      if (!t.of_batch || !dx[n]) continue;
      const float share = 1.0f / static_cast<float>(rows);
      const auto inverse = inverse_deviations<V>(t, c);
      p.of_constant[n] = numbers_of<V>(gradients.dbeta + c);
      p.of_slope[n] = numbers_of<V>(gradients.dgamma[n] + c);
      for (int k = 0; k < V; ++k) {
        p.of_constant[n][k] *= share;
        p.of_slope[n][k] *= inverse[k] * share;
      }
    }
    return p;
  }
  template <int V>
  __device__ auto load(int64_t i) const {
    return BatchNormGradientElements<V, terms>(sum, mask_shift, dy, i);
  }
  template <int V>
  __device__ void at(int64_t i, const BatchNormGradientElements<V, terms>& elements,
                     const Columns<V>& p) const {
    Vec<float, V> deviation[normalised];
    const auto dz = p.forward.through(sum.epilogue, elements, deviation);
    for (int n = 0; n < normalised; ++n) {
      if (!dx[n]) continue;
      Vec<float, V> value;
      for (int k = 0; k < V; ++k) {
        value[k] = p.forward.of_term[n].scale[k] *
                   (dz[k] - p.of_constant[n][k] - deviation[n][k] * p.of_slope[n][k]);
      }
      store_floats(dx[n] + i, value);
    }
    if (normalised == 1 && dx[1]) store_floats(dx[1] + i, dz);
  }
};

/// f(all arrays of the terms), which kernels read by vectors.
template <class T, class F>
void with_arrays(const BatchNormSum<T>& sum, const F& f) {
  const BatchNormTerm<T>&a = sum.terms[0], &b = sum.terms[1];
  f(a.x, a.gamma, a.beta, a.mean, a.variance, b.x, b.gamma, b.beta, b.mean, b.variance);
}

/// f(a constant of BatchNormTerms), of the way back, which reads a mask in place of a tensor that
/// was added as it is.
template <class T, class F>
void by_gradient_terms(const BatchNormSum<T>& sum, const F& f) {
  using enum BatchNormTerms;
  if (needs_mask(sum) && !sum.mask)
    throw CudaError("the way back through ReLU of a batch-norm and a tensor needs a mask");
  if (sum.mask) return f(std::integral_constant<BatchNormTerms, one_and_tensor>{});
  if (sum.terms[1].gamma) return f(std::integral_constant<BatchNormTerms, two>{});
  f(std::integral_constant<BatchNormTerms, one>{});
}

/// f(a constant of BatchNormTerms), the sum's.
template <class T, class F>
void by_terms(const BatchNormSum<T>& sum, const F& f) {
  using enum BatchNormTerms;
  if (!sum.terms[1].x) return f(std::integral_constant<BatchNormTerms, one>{});
  if (!sum.terms[1].gamma) return f(std::integral_constant<BatchNormTerms, one_and_tensor>{});
  f(std::integral_constant<BatchNormTerms, two>{});
}

}  // namespace

BatchNormRung plan_batch_norm(const BatchNormShape& shape) {
  return shape.rows < 32 ? BatchNormRung::column_a_thread : BatchNormRung::two_stage;
}

template <class T>
void batch_norm_statistics(Cuda device, BatchNormRung rung, const BatchNormShape& s, const T* x,
                           float* mean, float* variance, const BatchNormMoving& moving) {
  if (rung == BatchNormRung::column_a_thread) {
    launch("batch_norm_statistics", batch_norm_statistics_column_kernel<T>,
           strided_blocks(s.C, 256), 256, 0, device, s.rows, s.C, x, mean, variance, moving);
    return;
  }
  const BatchNormMoments<T> moments = {x, s.C, {s.rows, mean, variance, moving}};
  column_sums<2>("batch_norm_statistics", device,
                 {.rows = s.rows, .columns = static_cast<int>(s.C)}, moments, moments, x);
}

template <class T>
void batch_norm_statistics(Cuda device, const BatchNormShape& shape, const T* x, float* mean,
                           float* variance, const BatchNormMoving& moving) {
  batch_norm_statistics(device, plan_batch_norm(shape), shape, x, mean, variance, moving);
}

void batch_norm_statistics(Cuda device, const BatchNormShape& s, const double* moments,
                           int64_t parts, float* mean, float* variance,
                           const BatchNormMoving& moving) {
  add_chunks<2>("batch_norm_statistics", device, {.columns = static_cast<int>(s.C)}, parts, moments,
                BatchNormStatistics{s.rows, mean, variance, moving});
}

template <class T>
int64_t batch_norm_mask_bytes(Cuda, const BatchNormShape& shape, T) {
  return shape.rows * shape.C >> mask_shift<T>(shape.C);
}

template <class T>
void batch_norm_apply(Cuda device, const BatchNormShape& shape, const BatchNormSum<T>& sum, T* y) {
  by_terms(sum, [&](auto terms) {
    with_arrays(sum, [&](const auto*... arrays) {
      if (sum.mask && mask_shift<T>(shape.C) > 0 && !in_vectors(y, arrays...))
        throw CudaError("batch-norm with a mask needs arrays at multiples of 16 bytes");
      channel_loop("batch_norm_apply", device, shape.rows, shape.C, Apply<terms, T>{sum, y}, y,
                   arrays...);
    });
  });
}

template <class T>
void batch_norm_backward_parameters(Cuda device, BatchNormRung rung, const BatchNormShape& s,
                                    const BatchNormSum<T>& sum, const T* dy,
                                    const BatchNormGradients& gradients) {
  by_gradient_terms(sum, [&](auto terms) {
    if (rung == BatchNormRung::column_a_thread) {
      launch("batch_norm_backward_parameters", batch_norm_parameters_column_kernel<terms, T>,
             strided_blocks(s.C, 256), 256, 0, device, s.rows, s.C, sum, dy, gradients);
      return;
    }
    const BatchNormParameters<terms, T> parameters = {sum, mask_shift<T>(s.C), dy, gradients};
    with_arrays(sum, [&](const auto*... arrays) {
      column_sums<1 + normalised_terms(terms)>("batch_norm_backward_parameters", device,
                                               {.rows = s.rows, .columns = static_cast<int>(s.C)},
                                               parameters, parameters, dy, arrays...);
    });
  });
}

template <class T>
void batch_norm_backward_parameters(Cuda device, const BatchNormShape& shape,
                                    const BatchNormSum<T>& sum, const T* dy,
                                    const BatchNormGradients& gradients) {
  batch_norm_backward_parameters(device, plan_batch_norm(shape), shape, sum, dy, gradients);
}

template <class T>
void batch_norm_backward_input(Cuda device, const BatchNormShape& shape, const BatchNormSum<T>& sum,
                               const T* dy, const BatchNormGradients& gradients, T* dx_0, T* dx_1) {
  by_gradient_terms(sum, [&](auto terms) {
    with_arrays(sum, [&](const auto*... arrays) {
      channel_loop("batch_norm_backward_input", device, shape.rows, shape.C,
                   BackwardInput<terms, T>{
                       sum, mask_shift<T>(shape.C), shape.rows, dy, gradients, {dx_0, dx_1}},
                   dy, dx_0, dx_1, gradients.dbeta, gradients.dgamma[0], gradients.dgamma[1],
                   arrays...);
    });
  });
}

#define FETTLE_BATCH_NORM(T)                                                                     \
  template void batch_norm_statistics(Cuda, BatchNormRung, const BatchNormShape&, const T*,      \
                                      float*, float*, const BatchNormMoving&);                   \
  template void batch_norm_statistics(Cuda, const BatchNormShape&, const T*, float*, float*,     \
                                      const BatchNormMoving&);                                   \
  template int64_t batch_norm_mask_bytes(Cuda, const BatchNormShape&, T);                        \
  template void batch_norm_apply(Cuda, const BatchNormShape&, const BatchNormSum<T>&, T*);       \
  template void batch_norm_backward_parameters(Cuda, BatchNormRung, const BatchNormShape&,       \
                                               const BatchNormSum<T>&, const T*,                 \
                                               const BatchNormGradients&);                       \
  template void batch_norm_backward_parameters(                                                  \
      Cuda, const BatchNormShape&, const BatchNormSum<T>&, const T*, const BatchNormGradients&); \
  template void batch_norm_backward_input(Cuda, const BatchNormShape&, const BatchNormSum<T>&,   \
                                          const T*, const BatchNormGradients&, T*, T*)
FETTLE_BATCH_NORM(float);
FETTLE_BATCH_NORM(bf16);
#undef FETTLE_BATCH_NORM

}  // namespace fettle
