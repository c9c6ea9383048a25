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
  wait_for_kernels_before();
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

/// One block: the pixels of one kind (blockIdx.y) that lie `gridDim.x * blockDim.x` apart. One
/// thread: every so many of them. Shared: the kind's table [2,bins + 1], since nearly all pixels
/// meet in a few bins and atomics on shared memory are the cheaper ones. Bytes a pixel and kind: 8
/// to read; limited by those atomics.
__global__ void __launch_bounds__(256)
    count_pixels_kernel(PixelCountShape s, const float* __restrict__ probabilities,
                        const float* __restrict__ targets, int32_t* counts) {
  wait_for_kernels_before();
  int32_t* table = dynamic_shared<int32_t>();
  const int64_t kind = blockIdx.y, size = 2 * (s.bins + 1);
  for (int64_t i = threadIdx.x; i < size; i += blockDim.x) table[i] = 0;
  __syncthreads();
  for (int64_t i = strided_first(); i < s.pixels; i += strided_step()) {
    const int64_t at = i * s.kinds + kind;
    atomicAdd(table + pixel_cell(s, probabilities[at], targets[at]), 1);
  }
  __syncthreads();
  for (int64_t i = threadIdx.x; i < size; i += blockDim.x) {
    if (table[i] != 0) atomicAdd(counts + kind * size + i, table[i]);
  }
}

}  // namespace

void count_predictions(Cuda device, const CountShape& shape, const float* probabilities,
                       const int32_t* labels, const float* thresholds, int32_t* confusion,
                       int32_t* scores) {
  launch("count_predictions", count_predictions_kernel, strided_blocks(shape.N, 256), 256, 0,
         device, shape, probabilities, labels, thresholds, confusion, scores);
}

void count_pixels(Cuda device, const PixelCountShape& shape, const float* probabilities,
                  const float* targets, int32_t* counts) {
  if (shape.pixels == 0) return;
  const dim3 grid(strided_blocks(shape.pixels, 256), static_cast<unsigned>(shape.kinds));
  launch("count_pixels", count_pixels_kernel, grid, 256,
         static_cast<size_t>(2 * shape.cells()) * sizeof(int32_t), device, shape, probabilities,
         targets, counts);
}

}  // namespace fettle
