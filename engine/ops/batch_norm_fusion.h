// Batch-norm, the addition of a shortcut and ReLU in one pass over memory, in both directions,
// without a word in a model.
//
// In relu(bn(conv(x)) + shortcut), bn's result and the sum are read by the next operation alone. So
// batch_norm() returns a tensor whose elements are pending (Tensor::deferred), operator+ takes such
// an operand in and returns a pending sum, and relu() computes the whole at once. Anybody else who
// reads a pending tensor computes it as it stands, and finds an ordinary one from then on.
//
// Every pending tensor has a place of its own on the tape, as if it had been computed: gradients
// flow back through whichever of them were used. Going back, ReLU's mask is computed again from the
// batch-norms' inputs, so that neither bn's result nor the sum is ever kept. Where the shortcut is
// added as it is, a bit an element is kept in place of reading the shortcut again, twice.
//
// In training on a GPU bn's operand waits, too: conv2d() returns a pending tensor, which bn
// computes along with its batch statistics. Whoever else reads it first computes it alone.
//
// Where somebody listens (TraceListener in engine/graph.h) nothing stays pending and the operations
// are the plain ones. The call of an outermost layer returns nothing pending, so that parameters
// may change between a model's call and the reading of its output.
#pragma once

#include "engine/tensor.h"

namespace fettle {

/// x [...,C] normalised by numbers [C]; pending. With `of_batch`, mean and variance came from x and
/// carry gradients. The shapes must fit.
Tensor pending_batch_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                          const Tensor& mean, const Tensor& variance, float epsilon, bool of_batch);

/// a + b, of one shape, pending, if one of them is a pending batch-norm; else undefined.
Tensor fused_add(const Tensor& a, const Tensor& b);

/// relu(x) if x is a pending batch-norm or such a sum; else undefined.
Tensor fused_relu(const Tensor& x);

}  // namespace fettle
