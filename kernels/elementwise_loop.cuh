// The loop of every elementwise kernel: the first thing to read about CUDA here.
//
// A thread computes four neighbours, fetched as one 16-byte vector, and goes on by the whole grid.
// The 32 threads of a warp read 512 bytes in a row, so that every byte of every 32-byte sector that
// memory delivers is used ("coalesced"). Nothing is shared. An element costs a few operations and
// 8 to 28 bytes: the limit is memory bandwidth.
#pragma once

#include "kernels/cu.h"

namespace fettle {

inline constexpr int elementwise_threads = 256;

/// Formula::at<V>(i) computes the elements i to i + V - 1.
template <class Formula>
__global__ void __launch_bounds__(elementwise_threads)
    elementwise_kernel(int64_t n, bool in_fours, Formula formula) {
  const int64_t fours = in_fours ? n / 4 : 0;
  for (int64_t i = strided_first(); i < fours; i += strided_step()) {
    formula.template at<4>(i * 4);
  }
  for (int64_t i = fours * 4 + strided_first(); i < n; i += strided_step()) {
    formula.template at<1>(i);
  }
}

/// Runs the formula for n elements; `arrays` are what it reads and writes at the same index, which
/// go by fours where all of them are aligned. nullptr is.
template <class Formula, class... Arrays>
void elementwise(const char* name, Cuda device, int64_t n, const Formula& formula,
                 const Arrays*... arrays) {
  const bool in_fours = ((reinterpret_cast<uintptr_t>(arrays) % 16 == 0) && ...);
  launch(name, elementwise_kernel<Formula>,
         strided_blocks(in_fours ? (n + 3) / 4 : n, elementwise_threads), elementwise_threads, 0,
         device, n, in_fours, formula);
}

/// y = f(x), and y = f(a, b).
template <class F>
struct Map1 {
  F f;
  const float* x;
  float* y;
  template <int V>
  __device__ void at(int64_t i) const {
    auto value = load_vec<V>(x + i);
    for (int k = 0; k < V; ++k) value[k] = f(value[k]);
    store_vec(y + i, value);
  }
};
template <class F>
struct Map2 {
  F f;
  const float *a, *b;
  float* y;
  template <int V>
  __device__ void at(int64_t i) const {
    auto value = load_vec<V>(a + i);
    const auto other = load_vec<V>(b + i);
    for (int k = 0; k < V; ++k) value[k] = f(value[k], other[k]);
    store_vec(y + i, value);
  }
};

template <class F>
void map(const char* name, Cuda device, int64_t n, const F& f, const float* x, float* y) {
  elementwise(name, device, n, Map1<F>{f, x, y}, x, y);
}
template <class F>
void map(const char* name, Cuda device, int64_t n, const F& f, const float* a, const float* b,
         float* y) {
  elementwise(name, device, n, Map2<F>{f, a, b, y}, a, b, y);
}

}  // namespace fettle
