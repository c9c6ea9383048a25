#include "kernels/cu.h"
#include "kernels/metrics/example.h"

namespace fettle {
namespace {

/// One thread: one example. The tables are few and integer, so that atomic additions give the same
/// counts in any order. Bytes an example: 4 * classes to read; limited by the latency of the
/// atomics, which is nothing beside a training step.
__global__ void __launch_bounds__(256)
    count_predictions_kernel(CountShape s, const float* __restrict__ probabilities,
                             const int32_t* __restrict__ labels,
                             const float* __restrict__ thresholds, int32_t* confusion,
                             int32_t* scores) {
  for (int64_t n = strided_first(); n < s.N; n += strided_step()) {
    const int64_t label = labels[n];
    if (label < 0 || label >= s.classes) continue;
    const float* row = probabilities + n * (s.one_column ? 1 : s.classes);
    atomicAdd(confusion + label * s.classes + prediction_of(s, row), 1);
    for (int64_t k = 0; k < s.classes; ++k) {
      const int64_t bucket = thresholds_below(thresholds, s.thresholds, probability_of(s, row, k));
      atomicAdd(scores + (k * 2 + (k == label)) * (s.thresholds + 1) + bucket, 1);
    }
  }
}

}  // namespace

void count_predictions(Cuda device, const CountShape& shape, const float* probabilities,
                       const int32_t* labels, const float* thresholds, int32_t* confusion,
                       int32_t* scores) {
  launch("count_predictions", count_predictions_kernel, strided_blocks(shape.N, 256), 256, 0,
         device, shape, probabilities, labels, thresholds, confusion, scores);
}

}  // namespace fettle
