// A sum over taps on the CPU as its definition has it: an implicit matrix product.
#pragma once

#include <cstdint>

#include "kernels/conv2d/tap_sum.h"

namespace fettle {

/// How many floats the weights take in the order in which the kernel reads them, [panel][tap]
/// [channel][columns of the panel] with zeros beyond K, and their way there.
int64_t direct_packed_floats(const TapSum& sum);
void direct_pack(const TapSum& sum, float* packed);

/// Computes sum.out with weights that direct_pack() has put in order.
void direct_run(const TapSum& sum, const float* packed);

/// Working memory of direct_run() at most: of the thread that calls it, and of every one that
/// works.
int64_t direct_caller_floats(const TapSum& sum);
int64_t direct_thread_floats(const TapSum& sum);

}  // namespace fettle
