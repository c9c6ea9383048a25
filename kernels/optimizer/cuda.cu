// One launch for all tensors of a model, whose table travels with it as the kernel's parameter.
//
// The tensors are cut into chunks of 4096 elements, and a block takes one chunk after the other: it
// finds the tensor by bisection, in which all its threads agree. Bytes an element: 12 to 28, and 2
// for weights that bf16 kernels use. The limit is memory bandwidth.
#include <algorithm>
#include <cmath>

#include "kernels/cu.h"
#include "kernels/optimizer/optimizer.h"

namespace fettle {
namespace {

constexpr int chunk_elements = 4096;

/// Kernels' parameters may have 32764 bytes, of CUDA 12.1 and sm_70 on.
struct Table {
  static constexpr int most = 320;
  int tensors = 0;
  int first_chunk[most + 1] = {};
  OptimizerTensor tensor[most];
};
static_assert(sizeof(Table) <= 32000);

template <int V>
__device__ void update(const SgdStep& s, const OptimizerTensor& t, int64_t i) {
  const auto gradient = load_vec<V>(t.g + i);
  auto weight = load_vec<V>(t.w + i);
  auto velocity = t.m ? load_vec<V>(t.m + i) : Vec<float, V>{};
  for (int k = 0; k < V; ++k) {
    const float push = s.learning_rate * gradient[k];
    velocity[k] = s.momentum * velocity[k] - push;
    weight[k] += s.nesterov ? s.momentum * velocity[k] - push : velocity[k];
  }
  store_vec(t.w + i, weight);
  if (t.rounded) store_floats(t.rounded + i, weight);
  if (t.m) store_vec(t.m + i, velocity);
}

template <int V>
__device__ void update(const AdamStep& s, const OptimizerTensor& t, int64_t i) {
  const auto gradient = load_vec<V>(t.g + i);
  auto weight = load_vec<V>(t.w + i), mean = load_vec<V>(t.m + i), square = load_vec<V>(t.v + i);
  for (int k = 0; k < V; ++k) {
    mean[k] = s.beta_1 * mean[k] + (1 - s.beta_1) * gradient[k];
    square[k] = s.beta_2 * square[k] + (1 - s.beta_2) * gradient[k] * gradient[k];
    weight[k] = weight[k] * s.keep - (s.m_scale * mean[k] + s.g_scale * gradient[k]) /
                                         (std::sqrt(square[k]) * s.v_scale + s.epsilon);
  }
  store_vec(t.w + i, weight);
  if (t.rounded) store_floats(t.rounded + i, weight);
  store_vec(t.m + i, mean);
  store_vec(t.v + i, square);
}

__device__ __forceinline__ bool in_fours(const OptimizerTensor& t) {
  const auto all = reinterpret_cast<uintptr_t>(t.g) | reinterpret_cast<uintptr_t>(t.w) |
                   reinterpret_cast<uintptr_t>(t.m) | reinterpret_cast<uintptr_t>(t.v) |
                   reinterpret_cast<uintptr_t>(t.rounded);
  return all % 16 == 0;
}

template <class Step>
__global__ void __launch_bounds__(256) optimizer_kernel(Table table, Step given) {
  const Step step = given.now ? *given.now : given;
  const int chunks = table.first_chunk[table.tensors];
  for (int chunk = static_cast<int>(blockIdx.x); chunk < chunks;
       chunk += static_cast<int>(gridDim.x)) {
    int low = 0, high = table.tensors;  // first_chunk[low] <= chunk < first_chunk[high]
    while (high - low > 1) {
      const int middle = (low + high) / 2;
      (table.first_chunk[middle] <= chunk ? low : high) = middle;
    }
    const OptimizerTensor t = table.tensor[low];
    const int64_t begin = int64_t{chunk - table.first_chunk[low]} * chunk_elements;
    const int64_t end = begin + chunk_elements < t.n ? begin + chunk_elements : t.n;
    const int64_t fours = in_fours(t) ? end / 4 * 4 : begin;
    for (int64_t i = begin + threadIdx.x * 4; i < fours; i += 256 * 4) update<4>(step, t, i);
    for (int64_t i = fours + threadIdx.x; i < end; i += 256) update<1>(step, t, i);
  }
}

template <class Step>
void step_all(const char* name, Cuda device, OptimizerTensors tensors, const Step& step) {
  while (!tensors.empty()) {
    Table table;
    for (; table.tensors < Table::most && !tensors.empty(); tensors = tensors.subspan(1)) {
      const int n = table.tensors++;
      table.tensor[n] = tensors.front();
      table.first_chunk[n + 1] =
          table.first_chunk[n] + static_cast<int>(blocks_for(tensors.front().n, chunk_elements));
    }
    launch(name, optimizer_kernel<Step>,
           strided_blocks(int64_t{table.first_chunk[table.tensors]} * 256, 256), 256, 0, device,
           table, step);
  }
}

}  // namespace

void sgd_step(Cuda device, OptimizerTensors tensors, const SgdStep& step) {
  step_all("sgd_step", device, tensors, step);
}
void adam_step(Cuda device, OptimizerTensors tensors, const AdamStep& step) {
  step_all("adam_step", device, tensors, step);
}

}  // namespace fettle
