#include <algorithm>
#include <cmath>
#include <cstdint>
#include <type_traits>

#include "kernels/cu.h"
#include "kernels/divider.h"
#include "kernels/upsample2d/upsample2d.h"

namespace fettle {
namespace {

/// What divides the index of a vector of V channels of [N,rows,columns,C].
struct Walk {
  Divider by_across, by_columns, by_rows;
  int count;
  Walk(int64_t pictures, int64_t rows, int64_t columns, int64_t across)
      : by_across(across),
        by_columns(columns),
        by_rows(rows),
        count(static_cast<int>(pictures * rows * columns * across)) {}
};
struct Place {
  int n, row, column, vector;
};
__device__ __forceinline__ Place place_of(int i, const Walk& walk) {
  const int pixel = walk.by_across.quotient(i), line = walk.by_columns.quotient(pixel);
  const int n = walk.by_rows.quotient(line);
  return {n, walk.by_rows.remainder(line, n), walk.by_columns.remainder(pixel, line),
          walk.by_across.remainder(i, pixel)};
}

/// Outputs that look at an input along one axis.
struct Lookers {
  int first, end;
};

/// One axis. Of linear interpolation places are counted in steps of half an output, so that they
/// are whole numbers: 2 * factor steps from an input to the next. An output looks at the inputs on
/// both sides of it, of which the first is its `low`.
struct Axis {
  int n, factor;
  float a_step;  ///< in inputs

  Axis(int64_t n, int64_t factor)
      : n(static_cast<int>(n)),
        factor(static_cast<int>(factor)),
        a_step(0.5f / static_cast<float>(factor)) {}

  /// The outputs whose `low` is this input, or, of nearest neighbours, that copy it.
  __device__ Lookers above(Upsampling how, int in) const {
    if (how == Upsampling::nearest) return {in * factor, (in + 1) * factor};
    const auto first = [&](int input) { return (2 * factor * input + factor) / 2; };
    return {in == 0 ? 0 : first(in), in == n - 1 ? n * factor : first(in + 1)};
  }
  /// Steps from the first input to the output; what would lie outside is drawn to the edge.
  __device__ int steps(int out) const {
    const int steps = 2 * out + 1 - factor, most = 2 * factor * (n - 1);
    return steps < 0 ? 0 : steps < most ? steps : most;
  }
  /// How far the output lies from its `low` input to the next.
  __device__ float share(int out, int low) const {
    return static_cast<float>(steps(out) - 2 * factor * low) * a_step;
  }
  __device__ Lookers lookers(Upsampling how, int in) const {
    if (how == Upsampling::nearest) return {in * factor, (in + 1) * factor};
    return {in == 0 ? 0 : (2 * factor * in - factor - 1) / 2 + 1,
            in == n - 1 ? n * factor : (2 * factor * in + 3 * factor) / 2};
  }
  /// The weight of an input in an output that looks at it.
  __device__ float weight(Upsampling how, int out, int in) const {
    if (how == Upsampling::nearest) return 1;
    const int apart = steps(out) - 2 * factor * in;
    return 1 - static_cast<float>(apart < 0 ? -apart : apart) * a_step;
  }
};

/// The pictures: [N,h.n,w.n,C] and, larger, [N,h.n * h.factor,w.n * w.factor,C].
struct Geometry {
  Axis h, w;
  int C;
  explicit Geometry(const Upsample2dShape& s)
      : h(s.H, s.factor_h), w(s.W, s.factor_w), C(static_cast<int>(s.C)) {}
};

/// One thread: V neighbouring channels of the outputs between one input and the next ones to the
/// right and below, or of those that copy it. Each output is written once, and each input read once
/// but for what the caches hold; limited by memory bandwidth.
template <int V, class T>
__global__ void __launch_bounds__(256)
    upsample2d_forward_kernel(Geometry g, Upsampling how, Walk inputs, const T* __restrict__ x,
                              T* __restrict__ y) {
  wait_for_kernels_before();
  const int P = g.h.n * g.h.factor, Q = g.w.n * g.w.factor;
  for (int64_t i = strided_first(); i < inputs.count; i += strided_step()) {
    const Place at = place_of(static_cast<int>(i), inputs);
    const T* picture = x + int64_t{at.n} * g.h.n * g.w.n * g.C + at.vector * V;
    T* to = y + int64_t{at.n} * P * Q * g.C + at.vector * V;
    const auto pixel = [&](int h, int w) {
      return load_floats<V>(picture + (int64_t{h} * g.w.n + w) * g.C);
    };
    const auto each = [&](const auto& value) {
      const Lookers rows = g.h.above(how, at.row), columns = g.w.above(how, at.column);
#pragma unroll 1
      for (int p = rows.first; p < rows.end; ++p) {
#pragma unroll 1
        for (int q = columns.first; q < columns.end; ++q)
          store_floats(to + (int64_t{p} * Q + q) * g.C, value(p, q));
      }
    };
    const auto here = pixel(at.row, at.column);
    if (how == Upsampling::nearest) {
      each([&](int, int) { return here; });
      continue;
    }
    const int below = at.row + 1 < g.h.n ? at.row + 1 : at.row;
    const int beside = at.column + 1 < g.w.n ? at.column + 1 : at.column;
    const auto right = pixel(at.row, beside);
    const auto below_here = pixel(below, at.column), below_right = pixel(below, beside);
    each([&](int p, int q) {
      const float down = g.h.share(p, at.row), across = g.w.share(q, at.column);
      Vec<float, V> value;
      for (int k = 0; k < V; ++k) {
        const float upper = (1 - across) * here[k] + across * right[k];
        const float lower = (1 - across) * below_here[k] + across * below_right[k];
        value[k] = (1 - down) * upper + down * lower;
      }
      return value;
    });
  }
}

/// One thread: V neighbouring channels of one input, which gathers from its outputs row by row, so
/// that the sum is the same every time. Each output's gradient is read by one input, or by four of
/// which three find it in the caches; limited by memory bandwidth.
template <int V, class T>
__global__ void __launch_bounds__(256)
    upsample2d_backward_kernel(Geometry g, Upsampling how, Walk inputs, const T* __restrict__ dy,
                               T* __restrict__ dx) {
  wait_for_kernels_before();
  const int P = g.h.n * g.h.factor, Q = g.w.n * g.w.factor;
  for (int64_t i = strided_first(); i < inputs.count; i += strided_step()) {
    const Place at = place_of(static_cast<int>(i), inputs);
    const Lookers rows = g.h.lookers(how, at.row), columns = g.w.lookers(how, at.column);
    const T* picture = dy + int64_t{at.n} * P * Q * g.C + at.vector * V;
    Vec<float, V> sum = {};
#pragma unroll 1
    for (int p = rows.first; p < rows.end; ++p) {
      const T* line = picture + int64_t{p} * Q * g.C;
      const float of_row = g.h.weight(how, p, at.row);
#pragma unroll(V > 1 ? 2 : 1)
      for (int q = columns.first; q < columns.end; ++q) {
        const float weight = of_row * g.w.weight(how, q, at.column);
        const auto value = load_floats<V>(line + int64_t{q} * g.C);
        for (int k = 0; k < V; ++k) sum[k] += weight * value[k];
      }
    }
    store_floats(dx + i * V, sum);
  }
}

/// f(vector width, first picture, Walk) over the inputs, for groups of pictures whose
/// vectors of the large side ([P,Q,C]) count in 32 bits.
template <class T, class F>
void in_parts(const Upsample2dShape& s, bool vectors, const F& f) {
  const auto run = [&](auto width) {
    const int64_t across = s.C / width, P = s.H * s.factor_h, Q = s.W * s.factor_w;
    const int64_t most = std::max<int64_t>(INT32_MAX / std::max<int64_t>(P * Q * across, 1), 1);
    for (int64_t n = 0; n < s.N; n += most)
      f(width, n, Walk(std::min(most, s.N - n), s.H, s.W, across));
  };
  constexpr int V = in_16_bytes<T>;
  if (vectors && s.C % V == 0) {
    run(std::integral_constant<int, V>{});
  } else {
    run(std::integral_constant<int, 1>{});
  }
}

}  // namespace

template <class T>
void upsample2d_forward(Cuda device, const Upsample2dShape& s, Upsampling how, const T* x, T* y) {
  const int64_t P = s.H * s.factor_h, Q = s.W * s.factor_w;
  in_parts<T>(s, in_vectors(x, y), [&](auto width, int64_t n, const Walk& walk) {
    launch("upsample2d_forward", upsample2d_forward_kernel<width, T>,
           strided_blocks(walk.count, 256), 256, 0, device, Geometry(s), how, walk,
           x + n * s.H * s.W * s.C, y + n * P * Q * s.C);
  });
}

template <class T>
void upsample2d_backward(Cuda device, const Upsample2dShape& s, Upsampling how, const T* dy,
                         T* dx) {
  const int64_t P = s.H * s.factor_h, Q = s.W * s.factor_w;
  in_parts<T>(s, in_vectors(dy, dx), [&](auto width, int64_t n, const Walk& walk) {
    launch("upsample2d_backward", upsample2d_backward_kernel<width, T>,
           strided_blocks(walk.count, 256), 256, 0, device, Geometry(s), how, walk,
           dy + n * P * Q * s.C, dx + n * s.H * s.W * s.C);
  });
}

#define FETTLE_UPSAMPLE(T)                                                                  \
  template void upsample2d_forward(Cuda, const Upsample2dShape&, Upsampling, const T*, T*); \
  template void upsample2d_backward(Cuda, const Upsample2dShape&, Upsampling, const T*, T*)
FETTLE_UPSAMPLE(float);
FETTLE_UPSAMPLE(bf16);
#undef FETTLE_UPSAMPLE

}  // namespace fettle
