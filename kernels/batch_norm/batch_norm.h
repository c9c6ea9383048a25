// Batch normalisation over the last axis of [rows,C] (rows = N*H*W), alone or with what follows it:
// the addition of a second term and ReLU, in one pass.
//
//   n(x) = gamma * (x - mean) * inverse + beta,   inverse = 1 / sqrt(variance + epsilon)
//   y = f(n(x_0) + n(x_1)),                       f linear or ReLU
//
// The second term may be missing, or be added as it is. In training, mean and (biased) variance are
// those of the batch; otherwise they are given. Ioffe, Szegedy: "Batch normalization", ICML 2015.
//
// On a GPU, x, y and their gradients are arrays of T, float or bf16; all else is fp32.
#pragma once

#include <cstdint>

#include "kernels/device.h"
#include "kernels/epilogue/epilogue.h"

namespace fettle {

struct BatchNormShape {
  int64_t rows = 1, C = 1;
};

/// Moving statistics [C] that go along with those of batches, as Keras's do:
///   moving = momentum * moving + (1 - momentum) * batch
struct BatchNormMoving {
  float momentum = 0, *mean = nullptr, *variance = nullptr;

  FETTLE_HOST_DEVICE void follow(int64_t c, float batch_mean, float batch_variance) const {
    if (!mean) return;
    mean[c] = momentum * mean[c] + (1 - momentum) * batch_mean;
    variance[c] = momentum * variance[c] + (1 - momentum) * batch_variance;
  }
};

/// mean [C] and biased variance [C] of the rows, by sums about a shift near the mean, so that a
/// large mean does not swallow a small deviation; where there are moving statistics, they follow.
void batch_norm_statistics(Cpu, const BatchNormShape& shape, const float* x, float* mean,
                           float* variance, const BatchNormMoving& moving = {});
template <class T>
void batch_norm_statistics(Cuda, const BatchNormShape& shape, const T* x, float* mean,
                           float* variance, const BatchNormMoving& moving = {});
void batch_norm_statistics(Reference, const BatchNormShape& shape, const float* x, float* mean,
                           float* variance, const BatchNormMoving& moving = {});

/// x [rows,C] normalised with numbers [C]; x itself where gamma is nullptr; nothing where x is.
template <class T = float>
struct BatchNormTerm {
  const T* x = nullptr;
  const float *gamma = nullptr, *beta = nullptr, *mean = nullptr, *variance = nullptr;
  float epsilon = 0;
  bool of_batch = false;  ///< the statistics came from x and carry gradients themselves
};

/// f of one or two terms, of which the first is normalised.
template <class T = float>
struct BatchNormSum {
  BatchNormTerm<T> terms[2];
  Epilogue epilogue = Epilogue::linear;
  uint8_t* mask = nullptr;  ///< see needs_mask()
};

/// Whether the way back needs a mask. What is added as it is it would read for the sign of the sum
/// alone: batch_norm_apply() leaves a bit an element of where y is above 0, and that is read in its
/// place.
template <class T>
constexpr bool needs_mask(const BatchNormSum<T>& sum) {
  return sum.epilogue == Epilogue::relu && sum.terms[1].x && !sum.terms[1].gamma;
}

/// The bytes of a mask, whose layout is the device's own. The last number is one of x's type.
int64_t batch_norm_mask_bytes(Cpu, const BatchNormShape& shape, float);
template <class T>
int64_t batch_norm_mask_bytes(Cuda, const BatchNormShape& shape, T);
int64_t batch_norm_mask_bytes(Reference, const BatchNormShape& shape, float);  ///< needs none: 0

/// y [rows,C] of the sum, and its mask where that is not nullptr.
void batch_norm_apply(Cpu, const BatchNormShape& shape, const BatchNormSum<>& sum, float* y);
template <class T>
void batch_norm_apply(Cuda, const BatchNormShape& shape, const BatchNormSum<T>& sum, T* y);
void batch_norm_apply(Reference, const BatchNormShape& shape, const BatchNormSum<>& sum, float* y);

/// Gradients [C] of gamma, for each normalised term, and of beta, which both terms share.
struct BatchNormGradients {
  float *dgamma[2] = {}, *dbeta = nullptr;
};

/// With dz = dy * f', where f' comes from the mask or is computed again from the terms:
///   dgamma_k = sum of dz * (x_k - mean_k) * inverse_k,   dbeta = sum of dz
void batch_norm_backward_parameters(Cpu, const BatchNormShape& shape, const BatchNormSum<>& sum,
                                    const float* dy, const BatchNormGradients& gradients);
template <class T>
void batch_norm_backward_parameters(Cuda, const BatchNormShape& shape, const BatchNormSum<T>& sum,
                                    const T* dy, const BatchNormGradients& gradients);
void batch_norm_backward_parameters(Reference, const BatchNormShape& shape,
                                    const BatchNormSum<>& sum, const float* dy,
                                    const BatchNormGradients& gradients);

/// dx_k [rows,C] of each term, unless it is nullptr. Of a term with its batch's statistics
///   dx = gamma * inverse * (dz - dbeta / rows - (x - mean) * inverse * dgamma / rows),
/// of one with given statistics dx = gamma * inverse * dz, of one that is added as it is dx = dz;
/// `gradients` is read for a wanted dx of the first kind alone.
void batch_norm_backward_input(Cpu, const BatchNormShape& shape, const BatchNormSum<>& sum,
                               const float* dy, const BatchNormGradients& gradients, float* dx_0,
                               float* dx_1);
template <class T>
void batch_norm_backward_input(Cuda, const BatchNormShape& shape, const BatchNormSum<T>& sum,
                               const T* dy, const BatchNormGradients& gradients, T* dx_0, T* dx_1);
void batch_norm_backward_input(Reference, const BatchNormShape& shape, const BatchNormSum<>& sum,
                               const float* dy, const BatchNormGradients& gradients, float* dx_0,
                               float* dx_1);

}  // namespace fettle
