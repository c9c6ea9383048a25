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

/// Where an output looks along one axis: `low` with weight 1 - share, the pixel after it with
/// share.
struct Between {
  int64_t low, high;
  float share;
};
__device__ __forceinline__ Between between(int64_t out, int64_t factor, int64_t n) {
  float at = (static_cast<float>(out) + 0.5f) / static_cast<float>(factor) - 0.5f;
  at = at < 0 ? 0.0f : at;
  const int64_t low = static_cast<int64_t>(at) < n - 1 ? static_cast<int64_t>(at) : n - 1;
  const int64_t high = low + 1 < n ? low + 1 : n - 1;
  return {low, high, high == low ? 0.0f : at - static_cast<float>(low)};
}

/// The outputs that look at an input along one axis.
struct Lookers {
  int64_t first, end;
};
__device__ __forceinline__ Lookers lookers(Upsampling how, int64_t in, int64_t factor, int64_t n) {
  if (how == Upsampling::nearest) return {in * factor, (in + 1) * factor};
  // (out + 0.5) / factor - 0.5 lies between in - 1 and in + 1; what would lie outside the picture
  // is drawn to its edge.
  const int64_t first = in == 0 ? 0 : (2 * factor * in - factor - 1) / 2 + 1;
  const int64_t end = in == n - 1 ? n * factor : (2 * factor * in + 3 * factor) / 2;
  return {first, end};
}
__device__ __forceinline__ float weight_of(Upsampling how, int64_t out, int64_t in, int64_t factor,
                                           int64_t n) {
  if (how == Upsampling::nearest) return 1;
  const Between b = between(out, factor, n);
  return (b.low == in ? 1 - b.share : 0.0f) + (b.high == in ? b.share : 0.0f);
}

/// One thread: V neighbouring channels of one output. Each output is written once, and each input
/// read once but for what the caches hold; limited by memory bandwidth.
template <int V, class T>
__global__ void __launch_bounds__(256)
    upsample2d_forward_kernel(Upsample2dShape s, Upsampling how, Walk outputs,
                              const T* __restrict__ x, T* __restrict__ y) {
  for (int64_t i = strided_first(); i < outputs.count; i += strided_step()) {
    const Place at = place_of(static_cast<int>(i), outputs);
    const T* picture = x + at.n * s.H * s.W * s.C + at.vector * V;
    const auto pixel = [&](int64_t h, int64_t w) {
      return load_floats<V>(picture + (h * s.W + w) * s.C);
    };
    if (how == Upsampling::nearest) {
      store_floats(y + i * V, pixel(at.row / s.factor_h, at.column / s.factor_w));
      continue;
    }
    const Between h = between(at.row, s.factor_h, s.H), w = between(at.column, s.factor_w, s.W);
    const auto above_left = pixel(h.low, w.low), above_right = pixel(h.low, w.high);
    const auto below_left = pixel(h.high, w.low), below_right = pixel(h.high, w.high);
    Vec<float, V> value;
    for (int k = 0; k < V; ++k) {
      const float above = (1 - w.share) * above_left[k] + w.share * above_right[k];
      const float below = (1 - w.share) * below_left[k] + w.share * below_right[k];
      value[k] = (1 - h.share) * above + h.share * below;
    }
    store_floats(y + i * V, value);
  }
}

/// One thread: V neighbouring channels of one input, which gathers from its outputs row by row: the
/// same sum every time. Each output's gradient is read once, or by a few inputs; limited by memory
/// bandwidth.
template <int V, class T>
__global__ void __launch_bounds__(256)
    upsample2d_backward_kernel(Upsample2dShape s, Upsampling how, Walk inputs,
                               const T* __restrict__ dy, T* __restrict__ dx) {
  const int64_t P = s.H * s.factor_h, Q = s.W * s.factor_w;
  for (int64_t i = strided_first(); i < inputs.count; i += strided_step()) {
    const Place at = place_of(static_cast<int>(i), inputs);
    const Lookers rows = lookers(how, at.row, s.factor_h, s.H);
    const Lookers columns = lookers(how, at.column, s.factor_w, s.W);
    Vec<float, V> sum = {};
    for (int64_t p = rows.first; p < rows.end; ++p) {
      const float of_row = weight_of(how, p, at.row, s.factor_h, s.H);
      for (int64_t q = columns.first; q < columns.end; ++q) {
        const float weight = of_row * weight_of(how, q, at.column, s.factor_w, s.W);
        const auto value = load_floats<V>(dy + ((at.n * P + p) * Q + q) * s.C + at.vector * V);
        for (int k = 0; k < V; ++k) sum[k] += weight * value[k];
      }
    }
    store_floats(dx + i * V, sum);
  }
}

/// f(vector width, first picture, Walk) over [N,rows,columns,C], for groups of pictures whose
/// vectors of the large side ([P,Q,C]) count in 32 bits.
template <class T, class F>
void in_parts(const Upsample2dShape& s, int64_t rows, int64_t columns, bool vectors, const F& f) {
  const auto run = [&](auto width) {
    const int64_t across = s.C / width, P = s.H * s.factor_h, Q = s.W * s.factor_w;
    const int64_t most = std::max<int64_t>(INT32_MAX / std::max<int64_t>(P * Q * across, 1), 1);
    for (int64_t n = 0; n < s.N; n += most)
      f(width, n, Walk(std::min(most, s.N - n), rows, columns, across));
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
  in_parts<T>(s, P, Q, in_vectors(x, y), [&](auto width, int64_t n, const Walk& walk) {
    launch("upsample2d_forward", upsample2d_forward_kernel<width, T>,
           strided_blocks(walk.count, 256), 256, 0, device, s, how, walk, x + n * s.H * s.W * s.C,
           y + n * P * Q * s.C);
  });
}

template <class T>
void upsample2d_backward(Cuda device, const Upsample2dShape& s, Upsampling how, const T* dy,
                         T* dx) {
  const int64_t P = s.H * s.factor_h, Q = s.W * s.factor_w;
  in_parts<T>(s, s.H, s.W, in_vectors(dy, dx), [&](auto width, int64_t n, const Walk& walk) {
    launch("upsample2d_backward", upsample2d_backward_kernel<width, T>,
           strided_blocks(walk.count, 256), 256, 0, device, s, how, walk, dy + n * P * Q * s.C,
           dx + n * s.H * s.W * s.C);
  });
}

#define FETTLE_UPSAMPLE(T)                                                                  \
  template void upsample2d_forward(Cuda, const Upsample2dShape&, Upsampling, const T*, T*); \
  template void upsample2d_backward(Cuda, const Upsample2dShape&, Upsampling, const T*, T*)
FETTLE_UPSAMPLE(float);
FETTLE_UPSAMPLE(bf16);
#undef FETTLE_UPSAMPLE

}  // namespace fettle
