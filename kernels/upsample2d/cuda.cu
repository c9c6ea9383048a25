#include <algorithm>
#include <cmath>
#include <cstdint>
#include <type_traits>

#include "kernels/cu.h"
#include "kernels/divide.h"
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

  /// The outputs that copy this input, its nearest neighbours.
  __device__ Lookers copies(int in) const { return {in * factor, (in + 1) * factor}; }
  /// The outputs whose `low` is this input.
  __device__ Lookers above(int in) const {
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
  /// The outputs that look at this input.
  __device__ Lookers lookers(int in) const {
    return {in == 0 ? 0 : (2 * factor * in - factor - 1) / 2 + 1,
            in == n - 1 ? n * factor : (2 * factor * in + 3 * factor) / 2};
  }
  /// The weight of an input in an output that looks at it.
  __device__ float weight(int out, int in) const {
    const int apart = steps(out) - 2 * factor * in;
    return 1 - static_cast<float>(apart < 0 ? -apart : apart) * a_step;
  }
};

/// The pictures: [N,h.n,w.n,C] and, larger, [N,h.n * h.factor,w.n * w.factor,C], where it is
/// y_pixel elements from a pixel to the next.
struct Geometry {
  Axis h, w;
  int C, y_pixel;
  explicit Geometry(const Upsample2dShape& s)
      : h(s.H, s.factor_h),
        w(s.W, s.factor_w),
        C(static_cast<int>(s.C)),
        y_pixel(static_cast<int>(s.y_pixel())) {}
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
    T* to = y + int64_t{at.n} * P * Q * g.y_pixel + at.vector * V;
    const auto pixel = [&](int h, int w) {
      return load_floats<V>(picture + (int64_t{h} * g.w.n + w) * g.C);
    };
    const auto each = [&](const Lookers& rows, const Lookers& columns, const auto& value) {
#pragma unroll 1
      for (int p = rows.first; p < rows.end; ++p) {
#pragma unroll 1
        for (int q = columns.first; q < columns.end; ++q)
          store_floats(to + (int64_t{p} * Q + q) * g.y_pixel, value(p, q));
      }
    };
    const auto here = pixel(at.row, at.column);
    if (how == Upsampling::nearest) {
      each(g.h.copies(at.row), g.w.copies(at.column), [&](int, int) { return here; });
      continue;
    }
    const int below = at.row + 1 < g.h.n ? at.row + 1 : at.row;
    const int beside = at.column + 1 < g.w.n ? at.column + 1 : at.column;
    const auto right = pixel(at.row, beside);
    const auto below_here = pixel(below, at.column), below_right = pixel(below, beside);
    each(g.h.above(at.row), g.w.above(at.column), [&](int p, int q) {
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

/// One thread: V neighbouring channels of one input, the sum of its copies, two rows of two at
/// once. Each gradient is read once; limited by memory bandwidth.
template <int V, class T>
__global__ void __launch_bounds__(256, 4)
    nearest_backward_kernel(Geometry g, Walk inputs, const T* __restrict__ dy, T* __restrict__ dx) {
  wait_for_kernels_before();
  const int P = g.h.n * g.h.factor, Q = g.w.n * g.w.factor;
  for (int64_t i = strided_first(); i < inputs.count; i += strided_step()) {
    const Place at = place_of(static_cast<int>(i), inputs);
    const Lookers rows = g.h.copies(at.row), columns = g.w.copies(at.column);
    const T* picture = dy + int64_t{at.n} * P * Q * g.y_pixel + at.vector * V;
    Vec<float, V> sum = {};
#pragma unroll 1
    for (int p = rows.first; p < rows.end; p += 2) {
#pragma unroll 1
      for (int q = columns.first; q < columns.end; q += 2) {
        Vec<T, V> values[4];
#pragma unroll
        for (int k = 0; k < 4; ++k) {  // what is there for any factor, in place of what is not
          const int row = p + k / 2 < rows.end ? p + k / 2 : p;
          const int column = q + k % 2 < columns.end ? q + k % 2 : q;
          values[k] = load_vec<V>(picture + (int64_t{row} * Q + column) * g.y_pixel);
        }
#pragma unroll
        for (int k = 0; k < 4; ++k) {
          const bool counts = p + k / 2 < rows.end && q + k % 2 < columns.end;
          for (int e = 0; e < V; ++e) sum[e] += counts ? to_float(values[k][e]) : 0.0f;
        }
      }
    }
    store_floats(dx + i * V, sum);
  }
}

/// One thread: V neighbouring channels of a run of inputs, one under the other. It goes down the
/// rows of gradients once: what the columns that look at its inputs have together in a row goes by
/// its shares to the input above the row and to the one below. So a row is read by one thread, but
/// for those between two runs, and a column by two that are neighbours. The order of the sums does
/// not depend on the length of the runs. Limited by memory bandwidth.
template <int V, class T>
__global__ void __launch_bounds__(256, 3)
    bilinear_backward_kernel(Geometry g, int run, Walk runs, const T* __restrict__ dy,
                             T* __restrict__ dx) {
  wait_for_kernels_before();
  const int P = g.h.n * g.h.factor, Q = g.w.n * g.w.factor;
  for (int64_t i = strided_first(); i < runs.count; i += strided_step()) {
    const Place at = place_of(static_cast<int>(i), runs);
    const Lookers columns = g.w.lookers(at.column);
    const T* picture = dy + int64_t{at.n} * P * Q * g.y_pixel + at.vector * V;
    const auto of_row = [&](int p) {
      const T* line = picture + int64_t{p} * Q * g.y_pixel;
      Vec<float, V> sum = {};
#pragma unroll 1
      for (int q = columns.first; q < columns.end; q += 4) {
        Vec<T, V> values[4];
#pragma unroll
        for (int k = 0; k < 4; ++k) {
          const int column = q + k < columns.end ? q + k : q;
          values[k] = load_vec<V>(line + int64_t{column} * g.y_pixel);
        }
#pragma unroll
        for (int k = 0; k < 4; ++k) {
          const float weight = q + k < columns.end ? g.w.weight(q + k, at.column) : 0.0f;
          for (int e = 0; e < V; ++e) sum[e] += weight * to_float(values[k][e]);
        }
      }
      return sum;
    };
    const int first = at.row * run, end = first + run < g.h.n ? first + run : g.h.n;
    Vec<float, V> below = {};
#pragma unroll 1
    for (int low = first > 0 ? first - 1 : 0; low < end; ++low) {
      const Lookers rows = g.h.above(low);
      Vec<float, V> here = below;
      below = {};
#pragma unroll 1
      for (int p = rows.first; p < rows.end; ++p) {
        const auto sum = of_row(p);
        const float share = g.h.share(p, low);
        for (int e = 0; e < V; ++e) {
          here[e] += (1 - share) * sum[e];
          below[e] += share * sum[e];
        }
      }
      if (low < first) continue;
      const int64_t pixel = (int64_t{at.n} * g.h.n + low) * g.w.n + at.column;
      store_floats(dx + pixel * g.C + at.vector * V, here);
    }
  }
}

/// How long the runs of bilinear_backward_kernel are: so long that few rows are read twice, and so
/// short that the threads fill a GPU several times.
int rows_a_run(int64_t inputs) {
  int rows = 8;
  while (rows > 1 && inputs / rows < (1 << 19)) rows /= 2;
  return rows;
}

/// f(vector width, vectors of a pixel, first picture, pictures) for groups of pictures whose
/// vectors of the large side ([P,Q,C]) count in 32 bits.
template <class T, class F>
void in_parts(const Upsample2dShape& s, bool vectors, const F& f) {
  const auto run = [&](auto width) {
    const int64_t across = s.C / width, P = s.H * s.factor_h, Q = s.W * s.factor_w;
    const int64_t most = std::max<int64_t>(INT32_MAX / std::max<int64_t>(P * Q * across, 1), 1);
    for (int64_t n = 0; n < s.N; n += most) f(width, across, n, std::min(most, s.N - n));
  };
  constexpr int V = in_16_bytes<T>;
  if (vectors && s.C % V == 0 && s.y_pixel() % V == 0) {
    run(std::integral_constant<int, V>{});
  } else {
    run(std::integral_constant<int, 1>{});
  }
}

}  // namespace

template <class T>
void upsample2d_forward(Cuda device, const Upsample2dShape& s, Upsampling how, const T* x, T* y) {
  const int64_t P = s.H * s.factor_h, Q = s.W * s.factor_w;
  in_parts<T>(s, in_vectors(x, y), [&](auto width, int64_t across, int64_t n, int64_t pictures) {
    const Walk walk(pictures, s.H, s.W, across);
    launch("upsample2d_forward", upsample2d_forward_kernel<width, T>,
           strided_blocks(walk.count, 256), 256, 0, device, Geometry(s), how, walk,
           x + n * s.H * s.W * s.C, y + n * P * Q * s.y_pixel());
  });
}

template <class T>
void upsample2d_backward(Cuda device, const Upsample2dShape& s, Upsampling how, const T* dy,
                         T* dx) {
  constexpr const char* name = "upsample2d_backward";
  const int64_t P = s.H * s.factor_h, Q = s.W * s.factor_w;
  in_parts<T>(s, in_vectors(dy, dx), [&](auto width, int64_t across, int64_t n, int64_t pictures) {
    const T* from = dy + n * P * Q * s.y_pixel();
    T* to = dx + n * s.H * s.W * s.C;
    if (how == Upsampling::nearest) {
      const Walk inputs(pictures, s.H, s.W, across);
      return launch(name, nearest_backward_kernel<width, T>, strided_blocks(inputs.count, 256), 256,
                    0, device, Geometry(s), inputs, from, to);
    }
    const int run = rows_a_run(pictures * s.H * s.W * across);
    const Walk runs(pictures, ceil_div(s.H, run), s.W, across);
    launch(name, bilinear_backward_kernel<width, T>, strided_blocks(runs.count, 256), 256, 0,
           device, Geometry(s), run, runs, from, to);
  });
}

#define FETTLE_UPSAMPLE(T)                                                                  \
  template void upsample2d_forward(Cuda, const Upsample2dShape&, Upsampling, const T*, T*); \
  template void upsample2d_backward(Cuda, const Upsample2dShape&, Upsampling, const T*, T*)
FETTLE_UPSAMPLE(float);
FETTLE_UPSAMPLE(bf16);
#undef FETTLE_UPSAMPLE

}  // namespace fettle
