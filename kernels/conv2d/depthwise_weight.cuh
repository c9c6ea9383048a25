// Rung 8, backward to the weights, for 3x3 filters of stride 1 and 2: nine sums a channel over all
// pixels. A thread has four channels and keeps their 36 sums in registers while it walks down
// strips of columns, as 8_depthwise.cuh has them. A row of x that it has loaded meets the rows of
// dy that see it, of which the last are kept; so dy comes once from memory and the first cache, x
// once and 1.5 times. The next row of both is on its way meanwhile.
//
// When its walks are done, the sums of a block meet in shared memory, once, and go out as those of
// a chunk; the chunks are added by column_sums.cuh's second kernel. Every order is fixed. That
// kernel is worth what it takes to start: the last block to be done could add the chunks instead,
// but where channels are few it would have to add hundreds.
//
// A block: 128 threads. Shared memory: 18 KiB. Bytes: x and dy are read once.
#pragma once

#include "kernels/column_sums.cuh"
#include "kernels/conv2d/8_depthwise.cuh"

namespace fettle {

/// dw [C,3,3] of x, which is `from` of the axes, and dy, which is `to`.
template <class T>
struct DepthwiseWeightWalk {
  static constexpr int V = 4, threads = 128, blocks_at_once = 3;
  const T *x, *dy;
  DepthwiseAxis down, across;
  int C;
  DepthwiseParts parts = {};
};

/// [line][tap][lane].
struct DepthwiseWeightShared {
  Vec<float, 4> v[9 * 128];
};

/// One block: some walks (grid.y) of its channels (grid.x), to partial [share][tap][C].
template <int Stride, class T>
__global__ void __launch_bounds__(DepthwiseWeightWalk<T>::threads,
                                  DepthwiseWeightWalk<T>::blocks_at_once)
    conv2d_depthwise_weight_walk_kernel(DepthwiseWeightWalk<T> c, DepthwiseLanes block,
                                        float* partial) {
  wait_for_kernels_before();
  using Steps = DepthwiseSteps<Stride, 1>;
  constexpr int V = DepthwiseWeightWalk<T>::V, strip = Steps::strip, columns = Steps::columns;
  constexpr int kept = Steps::begun;  // rows of dy that one of x meets
  auto& shared_sums = shared<DepthwiseWeightShared>();
  const int thread = static_cast<int>(threadIdx.x);
  const int line = thread / block.lanes, lane = thread % block.lanes;
  const int channel = (static_cast<int>(blockIdx.x) * block.lanes + lane) * V;
  const bool active = line < block.lines && channel < c.C;
  const int64_t x_row_step = int64_t{c.across.from_extent} * c.C;
  const int64_t dy_row_step = int64_t{c.across.to_extent} * c.C;
  const int stride = static_cast<int>(gridDim.y) * block.lines;
  Vec<float, V> sums[9] = {};
  for (int i = static_cast<int>(blockIdx.y) * block.lines + line; active && i < c.parts.walks;
       i += stride) {
    const PixelIndex at = pixel_index(i, c.parts.by_strips, c.parts.by_parts);
    const int first = at.row * c.parts.steps_a_part;
    const int end = min_of(first + c.parts.steps_a_part, c.parts.steps);
    const int dy_column = at.column * strip;
    const int x_column = c.across.from_first + dy_column * Stride;
    int x_row = c.down.from_first + first * Stride;
    const int bottom = min_of(c.down.from_first + end * Stride + Steps::halo, c.down.from_extent);
    const T* x_from = c.x + channel + int64_t{x_column} * c.C +
                      (int64_t{at.n} * c.down.from_extent + x_row) * x_row_step;
    const T* dy_from = c.dy + channel + int64_t{dy_column} * c.C +
                       (int64_t{at.n} * c.down.to_extent + first) * dy_row_step;
    DepthwiseWords<T> next_x[columns], next_dy[strip];
    const auto load_next_x = [&] {
      load_strip(next_x, x_from, c.C, x_row >= 0 && x_row < bottom, x_column, c.across.from_extent);
      ++x_row;
      x_from += x_row_step;
    };
    const auto load_next_dy = [&](int row) {
      load_strip(next_dy, dy_from, c.C, row < end, dy_column, c.across.to_extent);
      dy_from += dy_row_step;
    };
    load_next_x();
    load_next_dy(first);
    Vec<float, V> dy[kept][strip] = {};
    for (int step = first; step < end + kept - 1; ++step) {
#pragma unroll
      for (int b = kept - 1; b > 0; --b) {
#pragma unroll
        for (int j = 0; j < strip; ++j) dy[b][j] = dy[b - 1][j];
      }
      to_floats<T>(dy[0], next_dy);
      load_next_dy(step + 1);
#pragma unroll
      for (int in = 0; in < Stride; ++in) {
        Vec<float, V> x[columns];
        to_floats<T>(x, next_x);
        load_next_x();
#pragma unroll
        for (int b = 0; b < kept; ++b) {
          for_taps<Steps>(Steps::tap(in, -b), [&](int j, int l, int tap) {
#pragma unroll
            for (int k = 0; k < V; ++k) sums[tap][k] += dy[b][j][k] * x[l][k];
          });
        }
      }
    }
  }
  if (line < block.lines) {
#pragma unroll
    for (int tap = 0; tap < 9; ++tap)
      shared_sums.v[(line * 9 + tap) * block.lanes + lane] = sums[tap];
  }
  __syncthreads();
  for (int tap = line; active && tap < 9; tap += block.lines) {
    Vec<float, V> sum = shared_sums.v[tap * block.lanes + lane];
    for (int other = 1; other < block.lines; ++other) {
      const Vec<float, V> more = shared_sums.v[(other * 9 + tap) * block.lanes + lane];
#pragma unroll
      for (int k = 0; k < V; ++k) sum[k] += more[k];
    }
    store_vec(partial + (int64_t{blockIdx.y} * 9 + tap) * c.C + channel, sum);
  }
}

/// From [tap][C], as the chunks have it, to [C][tap].
struct DepthwiseWeightGradient {
  float* dw;
  Divider by_C;
  int taps;
  __device__ void operator()(int64_t, int i, const double (&sum)[1]) const {
    const int tap = by_C.quotient(i), channel = by_C.remainder(i, tap);
    dw[int64_t{channel} * taps + tap] = static_cast<float>(sum[0]);
  }
};

}  // namespace fettle
