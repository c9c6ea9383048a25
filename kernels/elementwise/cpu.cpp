#include "kernels/elementwise/elementwise.h"

#include <algorithm>

#include "kernels/parallel.h"

// The body below is compiled once for every instruction set and chosen at run time.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/elementwise/cpu.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fettle {
namespace HWY_NAMESPACE {
namespace {

// Each formula stands once, on whole vectors; map() runs it over an array.

struct Add {
  Vec operator()(Vec a, Vec b) const { return hn::Add(a, b); }
};
struct Multiply {
  Vec operator()(Vec a, Vec b) const { return hn::Mul(a, b); }
};
struct ScaleOffset {
  float scale, offset;
  Vec operator()(Vec x) const {
    return hn::MulAdd(x, hn::Set(lanes_tag, scale), hn::Set(lanes_tag, offset));
  }
};

struct Relu {
  static Vec value(Vec x) { return hn::Max(x, hn::Zero(lanes_tag)); }
  static Vec derivative(Vec x) {
    return hn::IfThenElseZero(hn::Gt(x, hn::Zero(lanes_tag)), hn::Set(lanes_tag, 1.0f));
  }
};
struct Relu6 {
  static Vec value(Vec x) { return hn::Min(Relu::value(x), hn::Set(lanes_tag, 6.0f)); }
  static Vec derivative(Vec x) {
    return hn::IfThenElseZero(hn::Lt(x, hn::Set(lanes_tag, 6.0f)), Relu::derivative(x));
  }
};
struct Sigmoid {
  static Vec value(Vec x) { return sigmoid(x); }
  static Vec derivative(Vec x) {
    const Vec s = sigmoid(x);
    return hn::NegMulAdd(s, s, s);
  }
};
struct Swish {
  static Vec value(Vec x) { return hn::Mul(x, sigmoid(x)); }
  static Vec derivative(Vec x) {
    const Vec s = sigmoid(x);
    return hn::MulAdd(x, hn::NegMulAdd(s, s, s), s);
  }
};

template <class F>
struct Backward {
  Vec operator()(Vec x, Vec dy) const { return hn::Mul(dy, F::derivative(x)); }
};
template <class F>
struct Forward {
  Vec operator()(Vec x) const { return F::value(x); }
};

void add_range(int64_t n, const float* a, const float* b, float* y) {
  map(Add(), n, y, a, b);
}
void multiply_range(int64_t n, const float* a, const float* b, float* y) {
  map(Multiply(), n, y, a, b);
}
void scale_offset_range(int64_t n, float scale, float offset, const float* x, float* y) {
  map(ScaleOffset{scale, offset}, n, y, x);
}

template <template <class> class Direction, class... In>
void unary_range(Unary f, int64_t n, float* y, const In*... in) {
  switch (f) {
    case Unary::relu:
      return map(Direction<Relu>(), n, y, in...);
    case Unary::relu6:
      return map(Direction<Relu6>(), n, y, in...);
    case Unary::sigmoid:
      return map(Direction<Sigmoid>(), n, y, in...);
    case Unary::swish:
      return map(Direction<Swish>(), n, y, in...);
  }
}
void forward_range(Unary f, int64_t n, const float* x, float* y) {
  unary_range<Forward>(f, n, y, x);
}
void backward_range(Unary f, int64_t n, const float* x, const float* dy, float* dx) {
  unary_range<Backward>(f, n, dx, x, dy);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace fettle
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fettle {

HWY_EXPORT(add_range);
HWY_EXPORT(multiply_range);
HWY_EXPORT(scale_offset_range);
HWY_EXPORT(forward_range);
HWY_EXPORT(backward_range);

namespace {

constexpr int64_t grain = 1 << 15;  // 128 KiB an array: a chunk of each fits the L2 cache

/// Calls range(length, offset) for each chunk of n elements.
template <class Range>
void chunks(int64_t n, const Range& range) {
  parallel_for(n, grain, [&](int64_t begin, int64_t end) { range(end - begin, begin); });
}

}  // namespace

void fill(Cpu, int64_t n, float value, float* y) {
  std::fill_n(y, n, value);
}
void add(Cpu, int64_t n, const float* a, const float* b, float* y) {
  const auto range = HWY_DYNAMIC_DISPATCH(add_range);
  chunks(n, [&](int64_t count, int64_t at) { range(count, a + at, b + at, y + at); });
}
void multiply(Cpu, int64_t n, const float* a, const float* b, float* y) {
  const auto range = HWY_DYNAMIC_DISPATCH(multiply_range);
  chunks(n, [&](int64_t count, int64_t at) { range(count, a + at, b + at, y + at); });
}
void scale_offset(Cpu, int64_t n, float scale, float offset, const float* x, float* y) {
  const auto range = HWY_DYNAMIC_DISPATCH(scale_offset_range);
  chunks(n, [&](int64_t count, int64_t at) { range(count, scale, offset, x + at, y + at); });
}
void unary_forward(Cpu, Unary f, int64_t n, const float* x, float* y) {
  const auto range = HWY_DYNAMIC_DISPATCH(forward_range);
  chunks(n, [&](int64_t count, int64_t at) { range(f, count, x + at, y + at); });
}
void unary_backward(Cpu, Unary f, int64_t n, const float* x, const float* dy, float* dx) {
  const auto range = HWY_DYNAMIC_DISPATCH(backward_range);
  chunks(n, [&](int64_t count, int64_t at) { range(f, count, x + at, dy + at, dx + at); });
}

}  // namespace fettle
#endif  // HWY_ONCE
