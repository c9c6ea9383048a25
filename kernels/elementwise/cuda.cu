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

struct Sum {
  const float *a, *b;
  float* y;
  template <int V>
  __device__ void at(int64_t i) const {
    auto value = load_vec<V>(a + i);
    const auto other = load_vec<V>(b + i);
    for (int k = 0; k < V; ++k) value[k] += other[k];
    store_vec(y + i, value);
  }
};

struct Product {
  const float *a, *b;
  float* y;
  template <int V>
  __device__ void at(int64_t i) const {
    auto value = load_vec<V>(a + i);
    const auto other = load_vec<V>(b + i);
    for (int k = 0; k < V; ++k) value[k] *= other[k];
    store_vec(y + i, value);
  }
};

struct ScaleOffset {
  float scale, offset;
  const float* x;
  float* y;
  template <int V>
  __device__ void at(int64_t i) const {
    auto value = load_vec<V>(x + i);
    for (int k = 0; k < V; ++k) value[k] = scale * value[k] + offset;
    store_vec(y + i, value);
  }
};

struct UnaryForward {
  Unary f;
  const float* x;
  float* y;
  template <int V>
  __device__ void at(int64_t i) const {
    auto value = load_vec<V>(x + i);
    for (int k = 0; k < V; ++k) value[k] = unary_of(f, value[k]);
    store_vec(y + i, value);
  }
};

struct UnaryBackward {
  Unary f;
  const float *x, *dy;
  float* dx;
  template <int V>
  __device__ void at(int64_t i) const {
    auto value = load_vec<V>(x + i);
    const auto slope = load_vec<V>(dy + i);
    for (int k = 0; k < V; ++k) value[k] = slope[k] * unary_derivative_of(f, value[k]);
    store_vec(dx + i, value);
  }
};

}  // namespace

void fill(Cuda device, int64_t n, float value, float* y) {
  elementwise("fill", device, n, Fill{value, y}, y);
}
void add(Cuda device, int64_t n, const float* a, const float* b, float* y) {
  elementwise("add", device, n, Sum{a, b, y}, a, b, y);
}
void multiply(Cuda device, int64_t n, const float* a, const float* b, float* y) {
  elementwise("multiply", device, n, Product{a, b, y}, a, b, y);
}
void scale_offset(Cuda device, int64_t n, float scale, float offset, const float* x, float* y) {
  elementwise("scale_offset", device, n, ScaleOffset{scale, offset, x, y}, x, y);
}
void unary_forward(Cuda device, Unary f, int64_t n, const float* x, float* y) {
  elementwise("unary_forward", device, n, UnaryForward{f, x, y}, x, y);
}
void unary_backward(Cuda device, Unary f, int64_t n, const float* x, const float* dy, float* dx) {
  elementwise("unary_backward", device, n, UnaryBackward{f, x, dy, dx}, x, dy, dx);
}

}  // namespace fettle
