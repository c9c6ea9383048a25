// The loop of every elementwise kernel: the first thing to read about CUDA here.
//
// A thread computes the neighbours that one 16-byte vector holds, four floats or eight bf16, and
// goes on by the whole grid. The 32 threads of a warp read 512 bytes in a row, so that every byte
// of every 32-byte sector that memory delivers is used ("coalesced"). Nothing is shared. An element
// costs a few operations and 4 to 28 bytes: the limit is memory bandwidth.
#pragma once

#include "kernels/cu.h"

namespace fettle {

inline constexpr int elementwise_threads = 256;

/// Formula::at<V>(i) computes the elements i to i + V - 1.
template <int V, class Formula>
__global__ void __launch_bounds__(elementwise_threads)
    elementwise_kernel(int64_t n, bool in_vectors, Formula formula) {
  wait_for_kernels_before();
  const int64_t vectors = in_vectors ? n / V : 0;
  for (int64_t i = strided_first(); i < vectors; i += strided_step()) {
    formula.template at<V>(i * V);
  }
  for (int64_t i = vectors * V + strided_first(); i < n; i += strided_step()) {
    formula.template at<1>(i);
  }
}

/// Runs the formula for n elements; `first` and `more` are what it reads and writes at the same
/// index, which go by vectors of 16 bytes of the first's type where all of them are aligned.
/// nullptr is.
template <class Formula, class T, class... More>
void elementwise(const char* name, Cuda device, int64_t n, const Formula& formula, const T* first,
                 const More*... more) {
  constexpr int V = in_16_bytes<T>;
  const bool vectors = in_vectors(first, more...);
  launch(name, elementwise_kernel<V, Formula>,
         strided_blocks(vectors ? (n + V - 1) / V : n, elementwise_threads), elementwise_threads, 0,
         device, n, vectors, formula);
}

/// y = f(x), and y = f(a, b), computed in fp32 whatever lies in memory.
template <class F, class T>
struct Map1 {
  F f;
  const T* x;
  T* y;
  template <int V>
  __device__ void at(int64_t i) const {
    auto value = load_floats<V>(x + i);
    for (int k = 0; k < V; ++k) value[k] = f(value[k]);
    store_floats(y + i, value);
  }
};
template <class F, class T>
struct Map2 {
  F f;
  const T *a, *b;
  T* y;
  template <int V>
  __device__ void at(int64_t i) const {
    auto value = load_floats<V>(a + i);
    const auto other = load_floats<V>(b + i);
    for (int k = 0; k < V; ++k) value[k] = f(value[k], other[k]);
    store_floats(y + i, value);
  }
};

template <class F, class T>
void map(const char* name, Cuda device, int64_t n, const F& f, const T* x, T* y) {
  elementwise(name, device, n, Map1<F, T>{f, x, y}, x, y);
}
template <class F, class T>
void map(const char* name, Cuda device, int64_t n, const F& f, const T* a, const T* b, T* y) {
  elementwise(name, device, n, Map2<F, T>{f, a, b, y}, a, b, y);
}

}  // namespace fettle
