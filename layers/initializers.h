// Initial values of parameters, with Keras's names and limits. Draws come from the RandomScope.
#pragma once

#include "engine/tensor.h"

namespace fettle {

enum class Initializer { zeros, ones, glorot_uniform, he_normal };

/// A tensor of `shape` on the CPU, its first axis the outputs and its last the inputs of a unit;
/// the axes between count for both fans. glorot_uniform: U(-l, l), l = sqrt(6 / (fan_in +
/// fan_out)). Glorot, Bengio, AISTATS 2010. he_normal: N(0, 2 / fan_in) truncated at two
/// deviations, widened so that the deviation after the cut is sqrt(2 / fan_in). He et al., ICCV
/// 2015.
Tensor initial(Initializer initializer, const Shape& shape);

/// The same, as a parameter that collects a gradient if `trainable`.
Tensor parameter(Initializer initializer, const Shape& shape, bool trainable);

/// While it lives, what this thread would draw stays uninitialised memory: for a model whose
/// weights are all read next, which is sooner done than drawing those of a large one.
class NothingDrawn {
 public:
  NothingDrawn();
  ~NothingDrawn();
  NothingDrawn(const NothingDrawn&) = delete;
  NothingDrawn& operator=(const NothingDrawn&) = delete;

 private:
  bool before_;
};

}  // namespace fettle
