#include <algorithm>
#include <cmath>

#include "kernels/elementwise/elementwise.h"

namespace fettle {
namespace {

template <class F>
void each(int64_t n, float* y, const F& f) {
  for (int64_t i = 0; i < n; ++i) y[i] = static_cast<float>(f(i));
}

double sigmoid(double x) {
  return 1.0 / (1.0 + std::exp(-x));
}

double value(Unary f, double x) {
  switch (f) {
    case Unary::relu:
      return std::max(x, 0.0);
    case Unary::relu6:
      return std::clamp(x, 0.0, 6.0);
    case Unary::sigmoid:
      return sigmoid(x);
    case Unary::swish:
      return x * sigmoid(x);
  }
  return NAN;
}

double derivative(Unary f, double x) {
  const double s = sigmoid(x);
  switch (f) {
    case Unary::relu:
      return x > 0 ? 1 : 0;
    case Unary::relu6:
      return x > 0 && x < 6 ? 1 : 0;
    case Unary::sigmoid:
      return s * (1 - s);
    case Unary::swish:
      return s + x * s * (1 - s);
  }
  return NAN;
}

}  // namespace

void fill(Reference, int64_t n, float value, float* y) {
  each(n, y, [&](int64_t) { return double{value}; });
}
void add(Reference, int64_t n, const float* a, const float* b, float* y) {
  each(n, y, [&](int64_t i) { return double{a[i]} + b[i]; });
}
void multiply(Reference, int64_t n, const float* a, const float* b, float* y) {
  each(n, y, [&](int64_t i) { return double{a[i]} * b[i]; });
}
void scale_offset(Reference, int64_t n, float scale, float offset, const float* x, float* y) {
  each(n, y, [&](int64_t i) { return double{scale} * x[i] + offset; });
}
void unary_forward(Reference, Unary f, int64_t n, const float* x, float* y) {
  each(n, y, [&](int64_t i) { return value(f, x[i]); });
}
void unary_backward(Reference, Unary f, int64_t n, const float* x, const float* dy, float* dx) {
  each(n, dx, [&](int64_t i) { return dy[i] * derivative(f, x[i]); });
}

}  // namespace fettle
