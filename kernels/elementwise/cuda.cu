#include <cmath>

#include "kernels/elementwise/elementwise.h"
#include "kernels/elementwise_loop.cuh"

namespace fettle {
namespace {

__device__ __forceinline__ float sigmoid_of(float x) {
  return 1.0f / (1.0f + std::exp(-x));
}

__device__ __forceinline__ float unary_of(Unary f, float x) {
  switch (f) {
    case Unary::relu:
      return x > 0.0f ? x : 0.0f;
    case Unary::relu6:
      return x > 0.0f ? (x < 6.0f ? x : 6.0f) : 0.0f;
    case Unary::sigmoid:
      return sigmoid_of(x);
    case Unary::swish:
      return x * sigmoid_of(x);
  }
  return x;
}

__device__ __forceinline__ float unary_derivative_of(Unary f, float x) {
  switch (f) {
    case Unary::relu:
      return x > 0.0f ? 1.0f : 0.0f;
    case Unary::relu6:
      return x > 0.0f && x < 6.0f ? 1.0f : 0.0f;
    case Unary::sigmoid: {
      const float s = sigmoid_of(x);
      return s * (1.0f - s);
    }
    case Unary::swish: {
      const float s = sigmoid_of(x);
      return s + x * s * (1.0f - s);
    }
  }
  return x;
}

struct Fill {
  float value;
  float* y;
  template <int V>
  __device__ void at(int64_t i) const {
    Vec<float, V> out;
    for (int k = 0; k < V; ++k) out[k] = value;
    store_vec(y + i, out);
  }
};

template <class From, class To>
struct Convert {
  const From* x;
  To* y;
  template <int V>
  __device__ void at(int64_t i) const {
    store_floats(y + i, load_floats<V>(x + i));
  }
};

struct Sum {
  __device__ float operator()(float a, float b) const { return a + b; }
};
struct Product {
  __device__ float operator()(float a, float b) const { return a * b; }
};
struct ScaleOffset {
  float scale, offset;
  __device__ float operator()(float x) const { return scale * x + offset; }
};
struct UnaryForward {
  Unary f;
  __device__ float operator()(float x) const { return unary_of(f, x); }
};
struct UnaryBackward {
  Unary f;
  __device__ float operator()(float x, float dy) const { return dy * unary_derivative_of(f, x); }
};

}  // namespace

void fill(Cuda device, int64_t n, float value, float* y) {
  elementwise("fill", device, n, Fill{value, y}, y);
}
template <class T>
void add(Cuda device, int64_t n, const T* a, const T* b, T* y) {
  map("add", device, n, Sum{}, a, b, y);
}
template <class T>
void multiply(Cuda device, int64_t n, const T* a, const T* b, T* y) {
  map("multiply", device, n, Product{}, a, b, y);
}
void scale_offset(Cuda device, int64_t n, float scale, float offset, const float* x, float* y) {
  map("scale_offset", device, n, ScaleOffset{scale, offset}, x, y);
}
template <class T>
void unary_forward(Cuda device, Unary f, int64_t n, const T* x, T* y) {
  map("unary_forward", device, n, UnaryForward{f}, x, y);
}
template <class T>
void unary_backward(Cuda device, Unary f, int64_t n, const T* x, const T* dy, T* dx) {
  map("unary_backward", device, n, UnaryBackward{f}, x, dy, dx);
}
void convert(Cuda device, int64_t n, const float* x, bf16* y) {
  elementwise("convert", device, n, Convert<float, bf16>{x, y}, x, y);
}
void convert(Cuda device, int64_t n, const bf16* x, float* y) {
  elementwise("convert", device, n, Convert<bf16, float>{x, y}, y, x);
}

#define FETTLE_ELEMENTWISE(T)                                      \
  template void add(Cuda, int64_t, const T*, const T*, T*);        \
  template void multiply(Cuda, int64_t, const T*, const T*, T*);   \
  template void unary_forward(Cuda, Unary, int64_t, const T*, T*); \
  template void unary_backward(Cuda, Unary, int64_t, const T*, const T*, T*)
FETTLE_ELEMENTWISE(float);
FETTLE_ELEMENTWISE(bf16);
#undef FETTLE_ELEMENTWISE

}  // namespace fettle
