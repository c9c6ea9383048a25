#include <algorithm>
#include <cmath>

#include "kernels/cu.h"
#include "kernels/softmax/softmax.h"

namespace fettle {
namespace {

// A team of threads works on one row: each member takes every size-th element, and sums and maxima
// are formed over the team. A short row gets a warp, a long one a block.

struct Warp {
  static constexpr int size = 32, teams_a_block = 8;
  __device__ int rank() const { return static_cast<int>(threadIdx.x) % 32; }
  __device__ int64_t first_row() const { return int64_t{blockIdx.x} * 8 + threadIdx.x / 32; }
  __device__ float sum(float value) const { return warp_sum(value); }
  __device__ float max(float value) const { return warp_max(value); }
};

struct Partials {
  float v[32];
};

struct Block {
  static constexpr int size = 256, teams_a_block = 1;
  __device__ int rank() const { return static_cast<int>(threadIdx.x); }
  __device__ int64_t first_row() const { return blockIdx.x; }
  __device__ float sum(float value) const { return block_sum(value, shared<Partials>().v); }
  __device__ float max(float value) const {
    Partials& partial = shared<Partials>();
    value = warp_max(value);
    if (threadIdx.x % 32 == 0) partial.v[threadIdx.x / 32] = value;
    __syncthreads();
    value = warp_max(partial.v[threadIdx.x % 8]);
    __syncthreads();
    return value;
  }
};

constexpr float lowest = -3.402823466e38f;

/// A team: one row at a time, read three times (the second and third time from the caches). Bytes
/// an element: 4 to read, 4 to write; limited by memory bandwidth.
template <class Team>
__global__ void __launch_bounds__(256)
    softmax_forward_kernel(int64_t N, int64_t K, const float* __restrict__ x,
                           float* __restrict__ y) {
  const Team team;
  for (int64_t n = team.first_row(); n < N; n += int64_t{gridDim.x} * Team::teams_a_block) {
    const float* row = x + n * K;
    float highest = lowest;
    for (int64_t k = team.rank(); k < K; k += Team::size) highest = std::fmax(highest, row[k]);
    highest = team.max(highest);
    float total = 0;
    for (int64_t k = team.rank(); k < K; k += Team::size) total += std::exp(row[k] - highest);
    total = team.sum(total);
    for (int64_t k = team.rank(); k < K; k += Team::size) {
      y[n * K + k] = std::exp(row[k] - highest) / total;
    }
  }
}

template <class Team>
__global__ void __launch_bounds__(256)
    softmax_backward_kernel(int64_t N, int64_t K, const float* __restrict__ y,
                            const float* __restrict__ dy, float* __restrict__ dx) {
  const Team team;
  for (int64_t n = team.first_row(); n < N; n += int64_t{gridDim.x} * Team::teams_a_block) {
    float dot = 0;
    for (int64_t k = team.rank(); k < K; k += Team::size) dot += y[n * K + k] * dy[n * K + k];
    dot = team.sum(dot);
    for (int64_t k = team.rank(); k < K; k += Team::size) {
      dx[n * K + k] = y[n * K + k] * (dy[n * K + k] - dot);
    }
  }
}

constexpr int64_t long_row = 1024;

template <class Team>
unsigned blocks_of(int64_t N) {
  return static_cast<unsigned>(
      std::min<int64_t>((N + Team::teams_a_block - 1) / Team::teams_a_block, 1 << 20));
}

}  // namespace

void softmax_forward(Cuda device, int64_t N, int64_t K, const float* x, float* y) {
  if (K > long_row) {
    launch("softmax_forward", softmax_forward_kernel<Block>, blocks_of<Block>(N), 256, 0, device, N,
           K, x, y);
  } else {
    launch("softmax_forward", softmax_forward_kernel<Warp>, blocks_of<Warp>(N), 256, 0, device, N,
           K, x, y);
  }
}

void softmax_backward(Cuda device, int64_t N, int64_t K, const float* y, const float* dy,
                      float* dx) {
  if (K > long_row) {
    launch("softmax_backward", softmax_backward_kernel<Block>, blocks_of<Block>(N), 256, 0, device,
           N, K, y, dy, dx);
  } else {
    launch("softmax_backward", softmax_backward_kernel<Warp>, blocks_of<Warp>(N), 256, 0, device, N,
           K, y, dy, dx);
  }
}

}  // namespace fettle
