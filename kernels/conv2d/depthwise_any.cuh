// Rung 8 for any filter, stride and dilation, and for channels that do not come in whole vectors;
// 8_depthwise.cuh has what is quicker for most. Every tap loads what it sees, from the first cache
// if a neighbour has been there.
//
// Forward and backward input are the same kernel with another answer to where a tap lies. A thread
// has a vector of 16 bytes of channels and forms four outputs of a row at once, so that a vector of
// weights, read from shared memory as floats, serves four of x.
//
// Backward weight sums over all pixels: a block takes a chunk of them, a thread keeps the sums of
// nine taps of its channels in registers, and the block's sums meet in shared memory; the chunks
// are added by column_sums.cuh's second kernel, in a fixed order.
//
// Shared memory: R S floats for each channel of the block, at most 256 channels; backward weight 1
// KiB for each channel of the vector. The limit is instructions, 78 a tap of four outputs, of which
// 16 add; of backward weight that each tap's load is waited for.
#pragma once

#include "kernels/conv2d/depthwise_weight.cuh"

namespace fettle {

/// Where output i of an axis finds what lies under a tap, in forward direction: a place in x, or
/// one outside.
struct DepthwiseForwardAxis {
  int extent, stride, dilation, pad;
  __device__ __forceinline__ int place(int i, int tap) const {
    return i * stride + tap * dilation - pad;
  }
};
/// The same for pixel i of x, whose gradient comes from places in dy.
struct DepthwiseBackwardAxis {
  int extent;
  Divider by_stride;
  int dilation, pad;
  __device__ __forceinline__ int place(int i, int tap) const {
    const int above = i + pad - tap * dilation;
    if (above < 0) return -1;
    const int place = by_stride.quotient(above);
    return by_stride.remainder(above, place) == 0 ? place : -1;
  }
};

/// `to` [N,rows,columns,C] of `from` [N,extents of the axes,C] and w [C,R,S].
template <class T, class Axis>
struct DepthwiseConvolution {
  static constexpr int strip = 4;  ///< neighbouring outputs of a row that a thread forms
  static constexpr int threads = 256;
  const T *from, *w;
  const float* bias;
  const T* addend;
  Epilogue epilogue;
  T* to;
  Axis down, across;
  int rows, columns, C, R, S;
  Divider by_strips = {}, by_rows = {}, by_taps = {};
  int strips = 0;  ///< of all pictures
};

/// The weights of a block, [tap][fours of a vector][lane][4]: the lanes of a warp read neighbours.
template <int V>
struct DepthwiseWeights {
  static constexpr int each = V < 4 ? V : 4;
  float* all;
  int lanes;

  __device__ __forceinline__ float& at(int tap, int lane, int k) const {
    return all[((tap * (V / each) + k / each) * lanes + lane) * each + k % each];
  }
  __device__ __forceinline__ Vec<float, V> of(int tap, int lane) const {
    Vec<float, V> weights;
#pragma unroll
    for (int k = 0; k < V; k += each) {
      const auto some = load_vec<each>(&at(tap, lane, k));
#pragma unroll
      for (int e = 0; e < each; ++e) weights[k + e] = some[e];
    }
    return weights;
  }
};

/// One block: some strips of its channels. grid.x cuts the channels, grid.y shares the strips.
template <int V, class T, class Axis>
__global__ void __launch_bounds__(DepthwiseConvolution<T, Axis>::threads, 2)
    conv2d_depthwise_kernel(DepthwiseConvolution<T, Axis> c, DepthwiseLanes walk) {
  wait_for_kernels_before();
  constexpr int strip = DepthwiseConvolution<T, Axis>::strip;
  const DepthwiseWeights<V> weights = {dynamic_shared<float>(), walk.lanes};
  const int thread = static_cast<int>(threadIdx.x);
  const int line = thread / walk.lanes, lane = thread % walk.lanes;
  const int first = static_cast<int>(blockIdx.x) * walk.lanes * V, taps = c.R * c.S;
  const int filters = min_of(walk.lanes * V, c.C - first);
  for (int i = thread; i < filters * taps; i += c.threads) {
    const int filter = c.by_taps.quotient(i);
    weights.at(c.by_taps.remainder(i, filter), filter / V, filter % V) =
        to_float(c.w[first * taps + i]);
  }
  __syncthreads();

  const int channel = first + lane * V;
  if (line >= walk.lines || channel >= c.C) return;
  Vec<float, V> bias = {};
  for (int k = 0; k < V; ++k) {
    if (c.bias) bias[k] = c.bias[channel + k];
  }
  const int step = static_cast<int>(gridDim.y) * walk.lines;
  for (int i = static_cast<int>(blockIdx.y) * walk.lines + line; i < c.strips; i += step) {
    const PixelIndex at = pixel_index(i, c.by_strips, c.by_rows);
    const int column = at.column * strip;
    Vec<float, V> sums[strip];
#pragma unroll
    for (auto& sum : sums) sum = bias;
    for (int r = 0, tap = 0; r < c.R; ++r) {
      const int row = c.down.place(at.row, r);
      if (!inside(row, c.down.extent)) {
        tap += c.S;
        continue;
      }
      const T* from =
          c.from + (int64_t{at.n} * c.down.extent + row) * c.across.extent * c.C + channel;
      for (int s = 0; s < c.S; ++s, ++tap) {
        const Vec<float, V> weight = weights.of(tap, lane);
#pragma unroll
        for (int j = 0; j < strip; ++j) {
          const int place = c.across.place(column + j, s);
          if (!inside(place, c.across.extent)) continue;
          const auto x = load_floats<V>(from + int64_t{place} * c.C);
#pragma unroll
          for (int k = 0; k < V; ++k) sums[j][k] += x[k] * weight[k];
        }
      }
    }
    const int64_t to = ((int64_t{at.n} * c.rows + at.row) * c.columns + column) * c.C + channel;
#pragma unroll
    for (int j = 0; j < strip; ++j) {
      if (column + j >= c.columns) break;
      if (c.addend) {
        const auto more = load_floats<V>(c.addend + to + j * c.C);
#pragma unroll
        for (int k = 0; k < V; ++k) sums[j][k] += more[k];
      }
#pragma unroll
      for (int k = 0; k < V; ++k) {
        if (c.epilogue == Epilogue::relu && sums[j][k] < 0) sums[j][k] = 0;
      }
      store_floats(c.to + to + j * c.C, sums[j]);
    }
  }
}

/// dw of [C,R,S] from x [N,extents of the axes,C] and dy [N,P,Q,C].
template <class T>
struct DepthwiseWeightSums {
  static constexpr int taps_at_once = 9, threads = 256;
  const T *dy, *x;
  DepthwiseForwardAxis down, across;
  int C, R, S;
  Divider by_Q, by_P, by_S;
  int pixels, pixels_a_chunk = 0;
};

template <int V>
struct DepthwiseWeightSumsShared {
  float v[V][256];
};

/// One block: nine taps (grid.z) of a chunk of pixels (grid.y) of its channels (grid.x), to
/// partial [chunk][tap][C].
template <int V, class T>
__global__ void __launch_bounds__(DepthwiseWeightSums<T>::threads, 2)
    conv2d_depthwise_weight_kernel(DepthwiseWeightSums<T> c, DepthwiseLanes walk, float* partial) {
  wait_for_kernels_before();
  constexpr int at_once = DepthwiseWeightSums<T>::taps_at_once;
  auto& shared_sums = shared<DepthwiseWeightSumsShared<V>>();
  const int thread = static_cast<int>(threadIdx.x);
  const int line = thread / walk.lanes, lane = thread % walk.lanes;
  const int channel = (static_cast<int>(blockIdx.x) * walk.lanes + lane) * V;
  const bool active = line < walk.lines && channel < c.C;
  const int first_tap = static_cast<int>(blockIdx.z) * at_once, taps = c.R * c.S;
  const int first = static_cast<int>(blockIdx.y) * c.pixels_a_chunk;
  const int end = min_of(first + c.pixels_a_chunk, c.pixels);
  Vec<float, V> sums[at_once] = {};
  for (int pixel = first + line; active && pixel < end; pixel += walk.lines) {
    const PixelIndex at = pixel_index(pixel, c.by_Q, c.by_P);
    const auto dy = load_floats<V>(c.dy + int64_t{pixel} * c.C + channel);
    const T* picture = c.x + int64_t{at.n} * c.down.extent * c.across.extent * c.C + channel;
#pragma unroll
    for (int i = 0; i < at_once; ++i) {
      if (first_tap + i >= taps) break;
      const int r = c.by_S.quotient(first_tap + i), s = c.by_S.remainder(first_tap + i, r);
      const int row = c.down.place(at.row, r), column = c.across.place(at.column, s);
      if (!inside(row, c.down.extent) || !inside(column, c.across.extent)) continue;
      const auto x = load_floats<V>(picture + (int64_t{row} * c.across.extent + column) * c.C);
#pragma unroll
      for (int k = 0; k < V; ++k) sums[i][k] += dy[k] * x[k];
    }
  }
#pragma unroll
  for (int i = 0; i < at_once; ++i) {
    if (first_tap + i >= taps) break;
    for (int k = 0; k < V; ++k) shared_sums.v[k][thread] = sums[i][k];
    add_lines(shared_sums.v, walk.lines, walk.lanes, line, thread);
    if (line == 0 && active) {
      float* const to = partial + (int64_t{blockIdx.y} * taps + first_tap + i) * c.C + channel;
      for (int k = 0; k < V; ++k) to[k] = shared_sums.v[k][thread];
    }
    __syncthreads();
  }
}

}  // namespace fettle
