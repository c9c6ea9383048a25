// The rows of [N,K], each worked on by a team of threads: softmax and the losses over classes look
// at a row two or three times.
//
// A warp keeps a row of up to 1024 floats in its registers, 256 where rows do not come in whole
// vectors of 16 bytes: every lane reads its share at once, so that up to 4 KiB a warp are under
// way, and memory is read once. A longer row is read again each time, from the caches, by a whole
// block. The limit is memory bandwidth.
#pragma once

#include <algorithm>

#include "kernels/cu.h"

namespace fettle {

inline constexpr int row_threads = 256;

/// A warp's row: lane l has the vectors l, l + 32, ... of V floats, `Count` of them at most.
template <int V, int Count>
struct RowOfWarp {
  static constexpr int rows_a_block = row_threads / 32;
  static __device__ int64_t first() {
    return int64_t{blockIdx.x} * rows_a_block + threadIdx.x / 32;
  }

  const float* row;
  int K;
  Vec<float, V> values[Count];

  __device__ RowOfWarp(const float* row, int64_t K) : row(row), K(static_cast<int>(K)) {
#pragma unroll
    for (int i = 0; i < Count; ++i) {
      if (place(i) < this->K) values[i] = load_vec<V>(row + place(i));
    }
  }
  __device__ int place(int i) const {
    return (i * 32 + static_cast<int>(threadIdx.x) % 32) * V;
  }
  /// One thread of the team.
  __device__ bool leads() const {
    return threadIdx.x % 32 == 0;
  }
  __device__ float at(int64_t k) const {
    return row[k];
  }
  __device__ float sum(float value) const {
    return warp_sum(value);
  }
  __device__ float max(float value) const {
    return warp_max(value);
  }

  /// f(k, value) for each element of the lane; with `more` rows, f(k, value, theirs...).
  template <class F, class... More>
  __device__ __forceinline__ void each(const F& f, const More&... more) const {
#pragma unroll
    for (int i = 0; i < Count; ++i) {
      if (place(i) >= K) continue;
#pragma unroll
      for (int e = 0; e < V; ++e) f(place(i) + e, values[i][e], more.values[i][e]...);
    }
  }
  /// to[k] = f of the same.
  template <class F, class... More>
  __device__ __forceinline__ void store(float* to, const F& f, const More&... more) const {
#pragma unroll
    for (int i = 0; i < Count; ++i) {
      if (place(i) >= K) continue;
      Vec<float, V> out;
#pragma unroll
      for (int e = 0; e < V; ++e) out[e] = f(place(i) + e, values[i][e], more.values[i][e]...);
      store_vec(to + place(i), out);
    }
  }
};

struct RowOfBlockShared {
  float partial[32];
};

/// A block's row, which stays where it is.
struct RowOfBlock {
  static constexpr int rows_a_block = 1;
  static __device__ int64_t first() { return blockIdx.x; }

  const float* row;
  int64_t K;

  __device__ RowOfBlock(const float* row, int64_t K) : row(row), K(K) {}
  __device__ bool leads() const { return threadIdx.x == 0; }
  __device__ float at(int64_t k) const { return row[k]; }
  __device__ float sum(float value) const {
    return block_sum(value, shared<RowOfBlockShared>().partial);
  }
  __device__ float max(float value) const {
    float* const partial = shared<RowOfBlockShared>().partial;
    value = warp_max(value);
    if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = value;
    __syncthreads();
    value = warp_max(partial[threadIdx.x % (row_threads / 32)]);
    __syncthreads();
    return value;
  }
  template <class F, class... More>
  __device__ __forceinline__ void each(const F& f, const More&... more) const {
    for (int64_t k = threadIdx.x; k < K; k += row_threads) f(k, row[k], more.row[k]...);
  }
  template <class F, class... More>
  __device__ __forceinline__ void store(float* to, const F& f, const More&... more) const {
    for (int64_t k = threadIdx.x; k < K; k += row_threads) to[k] = f(k, row[k], more.row[k]...);
  }
};

/// One team: formula.row<Row>(n) for some rows n.
template <class Row, class Formula>
__global__ void __launch_bounds__(row_threads, 2) row_loop_kernel(int64_t N, Formula formula) {
  wait_for_kernels_before();
  for (int64_t n = Row::first(); n < N; n += int64_t{gridDim.x} * Row::rows_a_block)
    formula.template row<Row>(n);
}

template <class Row, class Formula>
void row_loop_by(const char* name, Cuda device, int64_t N, const Formula& formula) {
  launch(name, row_loop_kernel<Row, Formula>,
         static_cast<unsigned>(
             std::min<int64_t>((N + Row::rows_a_block - 1) / Row::rows_a_block, 1 << 20)),
         row_threads, 0, device, N, formula);
}

/// Runs the formula for N rows of K floats; `rows` are the arrays [N,K] that it reads and writes.
template <class Formula, class... Arrays>
void row_loop(const char* name, Cuda device, int64_t N, int64_t K, const Formula& formula,
              const Arrays*... rows) {
  if (N * K == 0) return;
  const bool vectors = K % 4 == 0 && in_vectors(rows...);
  if (K > (vectors ? 1024 : 256)) return row_loop_by<RowOfBlock>(name, device, N, formula);
  if (!vectors && K <= 32) return row_loop_by<RowOfWarp<1, 1>>(name, device, N, formula);
  if (!vectors) return row_loop_by<RowOfWarp<1, 8>>(name, device, N, formula);
  if (K <= 128) return row_loop_by<RowOfWarp<4, 1>>(name, device, N, formula);
  if (K <= 512) return row_loop_by<RowOfWarp<4, 4>>(name, device, N, formula);
  row_loop_by<RowOfWarp<4, 8>>(name, device, N, formula);
}

}  // namespace fettle
