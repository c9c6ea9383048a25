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

/// V neighbours from i on and as many `step` further, `Count` times: all are read before the first
/// is written, so that many loads are under way.
template <int V, int Count>
struct Places {
  static constexpr int step = 256 * V;
  int64_t first;

  using Values = Vec<float, V>[Count];
  __device__ __forceinline__ void load(Values& values, const float* from) const {
#pragma unroll
    for (int j = 0; j < Count; ++j) values[j] = load_vec<V>(from + first + j * step);
  }
  template <class T>
  __device__ __forceinline__ void store(T* to, const Values& values) const {
#pragma unroll
    for (int j = 0; j < Count; ++j) store_floats(to + first + j * step, values[j]);
  }
};

template <int V, int Count>
__device__ __forceinline__ void update(const SgdStep& s, const OptimizerTensor& t,
                                       const Places<V, Count>& places) {
  Vec<float, V> gradient[Count], weight[Count], velocity[Count] = {};
  places.load(gradient, t.g);
  places.load(weight, t.w);
  if (t.m) places.load(velocity, t.m);
#pragma unroll
  for (int j = 0; j < Count; ++j) {
    for (int k = 0; k < V; ++k) {
      const float push = s.learning_rate * gradient[j][k];
      velocity[j][k] = s.momentum * velocity[j][k] - push;
      weight[j][k] += s.nesterov ? s.momentum * velocity[j][k] - push : velocity[j][k];
    }
  }
  places.store(t.w, weight);
  if (t.rounded) places.store(t.rounded, weight);
  if (t.m) places.store(t.m, velocity);
}

template <int V, int Count>
__device__ __forceinline__ void update(const AdamStep& s, const OptimizerTensor& t,
                                       const Places<V, Count>& places) {
  Vec<float, V> gradient[Count], weight[Count], mean[Count], square[Count];
  places.load(gradient, t.g);
  places.load(weight, t.w);
  places.load(mean, t.m);
  places.load(square, t.v);
#pragma unroll
  for (int j = 0; j < Count; ++j) {
    for (int k = 0; k < V; ++k) {
      const float g = gradient[j][k];
      mean[j][k] = s.beta_1 * mean[j][k] + (1 - s.beta_1) * g;
      square[j][k] = s.beta_2 * square[j][k] + (1 - s.beta_2) * g * g;
      weight[j][k] = weight[j][k] * s.keep - (s.m_scale * mean[j][k] + s.g_scale * g) /
                                                 (std::sqrt(square[j][k]) * s.v_scale + s.epsilon);
    }
  }
  places.store(t.w, weight);
  if (t.rounded) places.store(t.rounded, weight);
  places.store(t.m, mean);
  places.store(t.v, square);
}

__device__ __forceinline__ bool in_fours(const OptimizerTensor& t) {
  const auto all = reinterpret_cast<uintptr_t>(t.g) | reinterpret_cast<uintptr_t>(t.w) |
                   reinterpret_cast<uintptr_t>(t.m) | reinterpret_cast<uintptr_t>(t.v) |
                   reinterpret_cast<uintptr_t>(t.rounded);
  return all % 16 == 0;
}

template <class Step>
__global__ void __launch_bounds__(256) optimizer_kernel(Table table, Step given) {
  wait_for_kernels_before();
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
    int64_t i = begin + threadIdx.x * 4;
    using Two = Places<4, 2>;
    for (; i + Two::step < fours; i += 2 * Two::step) update(step, t, Two{i});
    if (i < fours) update(step, t, Places<4, 1>{i});
    for (i = fours + threadIdx.x; i < end; i += 256) update(step, t, Places<1, 1>{i});
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
