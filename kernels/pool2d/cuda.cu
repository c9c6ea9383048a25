#include <algorithm>
#include <type_traits>

#include "kernels/column_sums.cuh"
#include "kernels/cu.h"
#include "kernels/divide.h"
#include "kernels/divider.h"
#include "kernels/pool2d/pool2d.h"

namespace fettle {
namespace {

/// Pool2dShape in 32 bits, for as many pictures as one launch takes.
struct Geometry {
  int N, H, W, C, R, S, P, Q, stride_h, stride_w, pad_top, pad_left;
  Divider by_C, by_Q, by_P, by_W, by_H, by_stride_h, by_stride_w;

  Geometry(const Pool2dShape& s, int64_t pictures)
      : N(static_cast<int>(pictures)),
        H(static_cast<int>(s.H)),
        W(static_cast<int>(s.W)),
        C(static_cast<int>(s.C)),
        R(static_cast<int>(s.R)),
        S(static_cast<int>(s.S)),
        P(static_cast<int>(s.P)),
        Q(static_cast<int>(s.Q)),
        stride_h(static_cast<int>(s.stride_h)),
        stride_w(static_cast<int>(s.stride_w)),
        pad_top(static_cast<int>(s.pad_top)),
        pad_left(static_cast<int>(s.pad_left)),
        by_C(s.C),
        by_Q(s.Q),
        by_P(s.P),
        by_W(s.W),
        by_H(s.H),
        by_stride_h(s.stride_h),
        by_stride_w(s.stride_w) {}
};

struct Place {
  int n, row, column, c;
};
__device__ __forceinline__ Place place_of(int i, const Divider& by_C, const Divider& by_columns,
                                          const Divider& by_rows) {
  const int pixel = by_C.quotient(i), line = by_columns.quotient(pixel);
  const int n = by_rows.quotient(line);
  return {n, by_rows.remainder(line, n), by_columns.remainder(pixel, line),
          by_C.remainder(i, pixel)};
}

/// The part of a window that lies inside the picture.
struct Window {
  int top, bottom, left, right;
  __device__ int pixels() const { return (bottom - top) * (right - left); }
};
__device__ __forceinline__ Window window_of(const Geometry& g, int p, int q) {
  const int h = p * g.stride_h - g.pad_top, w = q * g.stride_w - g.pad_left;
  return {h > 0 ? h : 0, h + g.R < g.H ? h + g.R : g.H, w > 0 ? w : 0,
          w + g.S < g.W ? w + g.S : g.W};
}

/// The windows that cover a pixel, along one axis.
struct Covering {
  int first, end;
};
__device__ __forceinline__ Covering covering(int at, int pad, int kernel, const Divider& by_stride,
                                             int windows) {
  const int last = by_stride.quotient(at + pad);
  const int before = at + pad - kernel;  // the first window begins after this
  return {before < 0 ? 0 : by_stride.quotient(before) + 1, last + 1 < windows ? last + 1 : windows};
}

/// A maximum and where in its window it stands first, r * S + s.
struct Best {
  float value;
  int place;
  __device__ void take(float other, int at) {
    if (place < 0 || other > value || (other == value && at < place)) {
      value = other;
      place = at;
    }
  }
};

/// Maxima of V channels of a window and where in it each stands first, r * S + s; of windows whose
/// places are bytes.
template <int V>
struct Maxima {
  Vec<float, V> value = {};
  Vec<uint8_t, V> place = {};
  __device__ __forceinline__ void take(const Vec<float, V>& other, int at, bool first) {
#pragma unroll
    for (int k = 0; k < V; ++k) {
      const bool better = first || other[k] > value[k];
      value[k] = better ? other[k] : value[k];
      place[k] = better ? static_cast<uint8_t>(at) : place[k];
    }
  }
};

// A thread goes over a window's pixels, neighbours over neighbouring channels, so that a warp reads
// a row of 32, and three pixels are on their way at once. Each input is read once from memory and
// again from the caches, each output written once; limited by memory bandwidth.

/// use(i, load(i)) for i below `count` and 3, in order, after all are loaded.
template <class Load, class Use>
__device__ __forceinline__ void each_of_three(int count, const Load& load, const Use& use) {
  const auto a = load(0), b = load(count > 1 ? 1 : 0), c = load(count > 2 ? 2 : 0);
  use(0, a);
  if (count > 1) use(1, b);
  if (count > 2) use(2, c);
}

/// One thread: V neighbouring channels of one output, the maxima or the averages.
template <bool Average, int V, class T>
__global__ void __launch_bounds__(256)
    pool2d_values_kernel(Geometry g, Divider by_across, const T* __restrict__ x,
                         T* __restrict__ y) {
  wait_for_kernels_before();
  const int outputs = g.N * g.P * g.Q * by_across.divisor;
  for (int64_t i = strided_first(); i < outputs; i += strided_step()) {
    const Place at = place_of(static_cast<int>(i), by_across, g.by_Q, g.by_P);
    const Window window = window_of(g, at.row, at.column);
    const T* picture = x + int64_t{at.n} * g.H * g.W * g.C + at.c * V;
    const auto pixel = [&](int h, int w) {
      return load_floats<V>(picture + (int64_t{h} * g.W + w) * g.C);
    };
    Vec<float, V> result = {};
    if (!Average) result = pixel(window.top, window.left);
#pragma unroll 1
    for (int h = window.top; h < window.bottom; ++h) {
#pragma unroll 1
      for (int w = window.left; w < window.right; w += 3) {
        each_of_three(
            window.right - w, [&](int i) { return pixel(h, w + i); },
            [&](int, const Vec<float, V>& value) {
              for (int k = 0; k < V; ++k) {
                result[k] = Average                ? result[k] + value[k]
                            : value[k] > result[k] ? value[k]
                                                   : result[k];
              }
            });
      }
    }
    if (Average) {
      const float share = 1 / static_cast<float>(window.pixels());
      for (int k = 0; k < V; ++k) result[k] *= share;
    }
    store_floats(y + i * V, result);
  }
}

/// One thread: V neighbouring channels of one output and the places of the maxima.
template <int V, class T>
__global__ void __launch_bounds__(256)
    max_pool2d_places_kernel(Geometry g, Divider by_across, const T* __restrict__ x,
                             T* __restrict__ y, uint8_t* __restrict__ places) {
  wait_for_kernels_before();
  const int outputs = g.N * g.P * g.Q * by_across.divisor;
  for (int64_t i = strided_first(); i < outputs; i += strided_step()) {
    const Place at = place_of(static_cast<int>(i), by_across, g.by_Q, g.by_P);
    const Window window = window_of(g, at.row, at.column);
    const int top = at.row * g.stride_h - g.pad_top, left = at.column * g.stride_w - g.pad_left;
    const T* picture = x + int64_t{at.n} * g.H * g.W * g.C + at.c * V;
    Maxima<V> maxima;
    bool first = true;
#pragma unroll 1
    for (int h = window.top; h < window.bottom; ++h) {
#pragma unroll 1
      for (int w = window.left; w < window.right; w += 3) {
        each_of_three(
            window.right - w,
            [&](int i) { return load_floats<V>(picture + (int64_t{h} * g.W + w + i) * g.C); },
            [&](int i, const Vec<float, V>& value) {
              maxima.take(value, (h - top) * g.S + w + i - left, first);
              first = false;
            });
      }
    }
    store_floats(y + i * V, maxima.value);
    store_vec(places + i * V, maxima.place);
  }
}

/// One thread: V neighbouring channels of one input, which gathers from the windows that cover it,
/// in their order; limited by memory bandwidth.
template <int V, class Index, class T>
__global__ void __launch_bounds__(256)
    max_pool2d_gather_kernel(Geometry g, Divider by_across, const Index* __restrict__ places,
                             const T* __restrict__ dy, T* __restrict__ dx, bool adds) {
  wait_for_kernels_before();
  const int inputs = g.N * g.H * g.W * by_across.divisor;
  for (int64_t i = strided_first(); i < inputs; i += strided_step()) {
    const Place at = place_of(static_cast<int>(i), by_across, g.by_W, g.by_H);
    const Covering rows = covering(at.row, g.pad_top, g.R, g.by_stride_h, g.P);
    const Covering columns = covering(at.column, g.pad_left, g.S, g.by_stride_w, g.Q);
    Vec<float, V> sum = {};
    if (adds) sum = load_floats<V>(dx + i * V);
#pragma unroll 1
    for (int p = rows.first; p < rows.end; ++p) {
      const int r = at.row + g.pad_top - p * g.stride_h;
      struct Looked {
        Vec<Index, V> place;
        Vec<float, V> gradient;
      };
      const auto look = [&](int q) -> Looked {
        const int64_t output = ((int64_t{at.n} * g.P + p) * g.Q + q) * g.C + at.c * V;
        return {load_vec<V>(places + output), load_floats<V>(dy + output)};
      };
      const auto add = [&](int q, const Looked& looked) {
        const int here = r * g.S + at.column + g.pad_left - q * g.stride_w;
        for (int k = 0; k < V; ++k) sum[k] += looked.place[k] == here ? looked.gradient[k] : 0.0f;
      };
#pragma unroll 1
      for (int q = columns.first; q < columns.end; q += 2) {
        const bool two = q + 1 < columns.end;
        const Looked one = look(q), other = look(two ? q + 1 : q);
        add(q, one);
        if (two) add(q + 1, other);
      }
    }
    store_floats(dx + i * V, sum);
  }
}

/// One thread: V neighbouring channels of one window, where the windows lie side by side and cover
/// the picture: it writes all gradients under the window.
template <int V, class T>
__global__ void __launch_bounds__(256)
    max_pool2d_side_by_side_kernel(Geometry g, Divider by_across,
                                   const uint8_t* __restrict__ places, const T* __restrict__ dy,
                                   T* __restrict__ dx, bool adds) {
  wait_for_kernels_before();
  const int outputs = g.N * g.P * g.Q * by_across.divisor;
  for (int64_t i = strided_first(); i < outputs; i += strided_step()) {
    const Place at = place_of(static_cast<int>(i), by_across, g.by_Q, g.by_P);
    const int64_t corner =
        ((int64_t{at.n} * g.H + at.row * g.R) * g.W + at.column * g.S) * g.C + at.c * V;
    const auto place = load_vec<V>(places + i * V);
    const auto gradient = load_floats<V>(dy + i * V);
#pragma unroll 1
    for (int r = 0; r < g.R; ++r) {
#pragma unroll 1
      for (int s = 0; s < g.S; ++s) {
        T* const to = dx + corner + (int64_t{r} * g.W + s) * g.C;
        Vec<float, V> value = {};
        if (adds) value = load_floats<V>(to);
        for (int k = 0; k < V; ++k) value[k] += place[k] == r * g.S + s ? gradient[k] : 0.0f;
        store_floats(to, value);
      }
    }
  }
}

/// One thread: V neighbouring channels of one input, which gathers from the windows that cover it.
template <int V, class T>
__global__ void __launch_bounds__(256)
    average_pool2d_backward_kernel(Geometry g, Divider by_across, const T* __restrict__ dy,
                                   T* __restrict__ dx) {
  wait_for_kernels_before();
  const int inputs = g.N * g.H * g.W * by_across.divisor;
  for (int64_t i = strided_first(); i < inputs; i += strided_step()) {
    const Place at = place_of(static_cast<int>(i), by_across, g.by_W, g.by_H);
    const Covering rows = covering(at.row, g.pad_top, g.R, g.by_stride_h, g.P);
    const Covering columns = covering(at.column, g.pad_left, g.S, g.by_stride_w, g.Q);
    Vec<float, V> sum = {};
#pragma unroll 1
    for (int p = rows.first; p < rows.end; ++p) {
#pragma unroll 1
      for (int q = columns.first; q < columns.end; ++q) {
        const float share = 1 / static_cast<float>(window_of(g, p, q).pixels());
        const auto value =
            load_floats<V>(dy + ((int64_t{at.n} * g.P + p) * g.Q + q) * g.C + at.c * V);
        for (int k = 0; k < V; ++k) sum[k] += share * value[k];
      }
    }
    store_floats(dx + i * V, sum);
  }
}

/// One thread: V neighbouring channels, dx of many pixels of the picture blockIdx.y under one
/// window of all pixels. Bytes: dx is written once; limited by memory bandwidth.
template <int V, class T>
__global__ void __launch_bounds__(256)
    global_average_backward_kernel(int pixels, int C, float share, const T* __restrict__ dy,
                                   T* __restrict__ dx) {
  wait_for_kernels_before();
  const int across = C / V;
  const int64_t step = strided_step() / across * across;  // whole pixels: the channels stay
  const int64_t first = strided_first();
  if (first >= step) return;
  auto value = load_floats<V>(dy + int64_t{blockIdx.y} * C + first % across * V);
  for (int k = 0; k < V; ++k) value[k] *= share;
  T* to = dx + int64_t{blockIdx.y} * pixels * C;
  for (int64_t i = first; i < int64_t{pixels} * across; i += step) store_floats(to + i * V, value);
}

/// A window of all pixels: its averages are the sums of columns (column_sums.cuh).
template <class T>
struct GlobalAverage {
  const T* x;
  T* y;
  int C;
  float share;

  template <int V>
  __device__ void at(int64_t i, NoNumbers, Vec<float, V> (&values)[1]) const {
    values[0] = load_floats<V>(x + i);
  }
  __device__ void operator()(int64_t picture, int column, const double (&sums)[1]) const {
    y[picture * C + column] = from_float<T>(static_cast<float>(sums[0] * share));
  }
};

// Maxima of large windows, as of global pooling, would leave most of the GPU idle that way. A block
// takes 32 channels of one window, each of its eight warps every eighth pixel; the eight results
// meet in shared memory (2 KiB).

struct LargeWindowShared {
  float value[8][32];
  int place[8][32];
};

/// One block: 32 channels of one output pixel.
template <class T>
__global__ void __launch_bounds__(256)
    large_maxima_kernel(Geometry g, const T* __restrict__ x, T* __restrict__ y,
                        int* __restrict__ places) {
  wait_for_kernels_before();
  LargeWindowShared& s = shared<LargeWindowShared>();
  const int tx = static_cast<int>(threadIdx.x), ty = static_cast<int>(threadIdx.y);
  const int c = static_cast<int>(blockIdx.y) * 32 + tx;
  const int output = static_cast<int>(blockIdx.x), line = g.by_Q.quotient(output);
  const int n = g.by_P.quotient(line);
  const int p = g.by_P.remainder(line, n), q = g.by_Q.remainder(output, line);
  const Window window = window_of(g, p, q);
  const int width = window.right - window.left;
  const int corner = (p * g.stride_h - g.pad_top) * g.S + q * g.stride_w - g.pad_left;
  const T* picture = x + int64_t{n} * g.H * g.W * g.C + c;

  Best best = {0, -1};
  if (c < g.C) {
    for (int i = ty; i < window.pixels(); i += 8) {
      const int h = window.top + i / width, w = window.left + i % width;
      best.take(to_float(picture[(int64_t{h} * g.W + w) * g.C]), h * g.S + w - corner);
    }
  }
  s.value[ty][tx] = best.value;
  s.place[ty][tx] = best.place;
  __syncthreads();
  if (ty == 0 && c < g.C) {
    const int64_t i = int64_t{output} * g.C + c;
    for (int k = 1; k < 8; ++k) {
      if (s.place[k][tx] >= 0) best.take(s.value[k][tx], s.place[k][tx]);
    }
    y[i] = from_float<T>(best.value);
    if (places) places[i] = best.place;
  }
}

/// Calls f(geometry, first picture) for groups of pictures whose elements count in 32 bits.
template <class F>
void for_each_part(const Pool2dShape& s, const F& f) {
  const int64_t a_picture = std::max<int64_t>({s.H * s.W * s.C, s.P * s.Q * s.C, 1});
  const int64_t pictures = std::max<int64_t>(((int64_t{1} << 31) - 1) / a_picture, 1);
  for (int64_t n = 0; n < s.N; n += pictures) f(Geometry(s, std::min(pictures, s.N - n)), n);
}

/// f(vector width, how many make up a pixel's channels).
template <class T, class F>
void by_vectors(int C, bool aligned, const F& f) {
  constexpr int V = in_16_bytes<T>;
  if (aligned && C % V == 0) {
    f(std::integral_constant<int, V>{}, Divider(C / V));
  } else {
    f(std::integral_constant<int, 1>{}, Divider(C));
  }
}

/// One window of all pixels.
bool is_global(const Pool2dShape& s) {
  return s.P == 1 && s.Q == 1 && s.R - s.pad_top >= s.H && s.S - s.pad_left >= s.W;
}

/// Of large windows, where bytes_a_place() is 4.
template <class T>
void large_maxima(const char* name, Cuda device, const Geometry& g, const T* x, T* y, int* places) {
  launch(name, large_maxima_kernel<T>,
         dim3(blocks_for(int64_t{g.N} * g.P * g.Q, 1), blocks_for(g.C, 32)), dim3(32, 8), 0, device,
         g, x, y, places);
}

/// Element i of places that take four bytes.
int* wide(uint8_t* places, int64_t i) {
  return reinterpret_cast<int*>(places) + i;
}
const int* wide(const uint8_t* places, int64_t i) {
  return reinterpret_cast<const int*>(places) + i;
}

}  // namespace

template <class T>
void max_pool2d_forward(Cuda device, const Pool2dShape& s, const T* x, T* y) {
  constexpr const char* name = "max_pool2d_forward";
  for_each_part(s, [&](const Geometry& g, int64_t n) {
    const T* in = x + n * s.H * s.W * s.C;
    T* out = y + n * s.P * s.Q * s.C;
    if (bytes_a_place(s) == 4) return large_maxima<T>(name, device, g, in, out, nullptr);
    by_vectors<T>(g.C, in_vectors(in, out), [&](auto width, const Divider& by_across) {
      launch(name, pool2d_values_kernel<false, width, T>,
             strided_blocks(g.N * s.P * s.Q * s.C / width, 256), 256, 0, device, g, by_across, in,
             out);
    });
  });
}

template <class T>
void max_pool2d_forward(Cuda device, const Pool2dShape& s, const T* x, T* y, uint8_t* places) {
  constexpr const char* name = "max_pool2d_forward";
  for_each_part(s, [&](const Geometry& g, int64_t n) {
    const int64_t outputs = s.P * s.Q * s.C, first = n * outputs;
    const T* in = x + n * s.H * s.W * s.C;
    T* out = y + first;
    if (bytes_a_place(s) == 4) return large_maxima(name, device, g, in, out, wide(places, first));
    by_vectors<T>(g.C, in_vectors(in, out, places + first),
                  [&](auto width, const Divider& by_across) {
                    launch(name, max_pool2d_places_kernel<width, T>,
                           strided_blocks(g.N * outputs / width, 256), 256, 0, device, g, by_across,
                           in, out, places + first);
                  });
  });
}

template <class T>
void max_pool2d_backward(Cuda device, const Pool2dShape& s, const uint8_t* places, const T* dy,
                         T* dx, bool adds) {
  constexpr const char* name = "max_pool2d_backward";
  for_each_part(s, [&](const Geometry& g, int64_t n) {
    const int64_t inputs = s.H * s.W * s.C, outputs = s.P * s.Q * s.C, first = n * outputs;
    const T* gradient = dy + first;
    T* out = dx + n * inputs;
    const auto backward = [&](const auto* at) {
      using Index = std::remove_cvref_t<decltype(*at)>;
      by_vectors<T>(g.C, in_vectors(at, gradient, out), [&](auto width, const Divider& by_across) {
        launch(name, max_pool2d_gather_kernel<width, Index, T>,
               strided_blocks(g.N * inputs / width, 256), 256, 0, device, g, by_across, at,
               gradient, out, adds);
      });
    };
    if (bytes_a_place(s) == 4) return backward(wide(places, first));
    if (!side_by_side(s)) return backward(places + first);
    by_vectors<T>(g.C, in_vectors(places + first, gradient, out),
                  [&](auto width, const Divider& by_across) {
                    launch(name, max_pool2d_side_by_side_kernel<width, T>,
                           strided_blocks(g.N * outputs / width, 256), 256, 0, device, g, by_across,
                           places + first, gradient, out, adds);
                  });
  });
}

template <class T>
void average_pool2d_forward(Cuda device, const Pool2dShape& s, const T* x, T* y) {
  constexpr const char* name = "average_pool2d_forward";
  if (is_global(s)) {
    const GlobalAverage<T> average = {x, y, static_cast<int>(s.C),
                                      1 / static_cast<float>(s.H * s.W)};
    return column_sums<1>(name, device, {s.N, s.H * s.W, static_cast<int>(s.C)}, average, average,
                          x);
  }
  for_each_part(s, [&](const Geometry& g, int64_t n) {
    const T* in = x + n * s.H * s.W * s.C;
    T* out = y + n * s.P * s.Q * s.C;
    by_vectors<T>(g.C, in_vectors(in, out), [&](auto width, const Divider& by_across) {
      launch(name, pool2d_values_kernel<true, width, T>,
             strided_blocks(g.N * s.P * s.Q * s.C / width, 256), 256, 0, device, g, by_across, in,
             out);
    });
  });
}

template <class T>
void average_pool2d_backward(Cuda device, const Pool2dShape& s, const T* dy, T* dx) {
  for_each_part(s, [&](const Geometry& g, int64_t n) {
    const T* gradient = dy + n * s.P * s.Q * s.C;
    T* out = dx + n * s.H * s.W * s.C;
    by_vectors<T>(g.C, in_vectors(gradient, out), [&](auto width, const Divider& by_across) {
      if (is_global(s) && g.N <= 65535) {
        const int64_t across = s.C / width, of_picture = s.H * s.W * across;
        const int64_t at_once = std::max(8 * gpu_info().multiprocessors / g.N, 1);
        const int64_t blocks =
            std::max(std::min(ceil_div(of_picture, 256), at_once), ceil_div(across, 256));
        return launch("average_pool2d_backward", global_average_backward_kernel<width, T>,
                      dim3(static_cast<unsigned>(blocks), static_cast<unsigned>(g.N)), 256, 0,
                      device, static_cast<int>(s.H * s.W), g.C, 1 / static_cast<float>(s.H * s.W),
                      gradient, out);
      }
      launch("average_pool2d_backward", average_pool2d_backward_kernel<width, T>,
             strided_blocks(g.N * s.H * s.W * s.C / width, 256), 256, 0, device, g, by_across,
             gradient, out);
    });
  });
}

#define FETTLE_POOL(T)                                                                             \
  template void max_pool2d_forward(Cuda, const Pool2dShape&, const T*, T*);                        \
  template void max_pool2d_forward(Cuda, const Pool2dShape&, const T*, T*, uint8_t*);              \
  template void max_pool2d_backward(Cuda, const Pool2dShape&, const uint8_t*, const T*, T*, bool); \
  template void average_pool2d_forward(Cuda, const Pool2dShape&, const T*, T*);                    \
  template void average_pool2d_backward(Cuda, const Pool2dShape&, const T*, T*)
FETTLE_POOL(float);
FETTLE_POOL(bf16);
#undef FETTLE_POOL

}  // namespace fettle
