// Rung 8: depthwise. Every channel is a picture of its own with a filter of its own, so that there
// is no matrix product and nothing for tensor cores: 18 operations an output of a 3x3 filter, and
// its limit is memory. This file has the walk by which 3x3 filters of stride 1 and 2 go forward and
// backward to the input, depthwise_weight.cuh that to the weights, depthwise_any.cuh what takes any
// filter.
//
// A thread has four channels, a lane of the warp the next four, and walks down a strip of columns
// with its nine weights in registers. A row that it has loaded serves all three rows of taps: it is
// added to the outputs that end with it and to those that have begun. So each element comes once
// from memory and 1.5 times from the first cache (stride 1: 6 columns under a strip of 4), where
// taps that each load what they see take 9. The next row is on its way meanwhile: 36 KiB a
// multiprocessor, twice what memory's latency asks for where as much is written as read.
//
// Forward with stride 2 takes in two rows a step and gives out one, backward to the input takes in
// one of dy and gives out two: the same walk with other constants. Backward has the filter turned
// round.
//
// A block: 128 threads, lanes over channels and lines over strips. Shared memory: the weights of
// its channels on their way to registers. Bytes: x or dy read once, y or dx written.
#pragma once

#include <algorithm>

#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/operands.cuh"
#include "kernels/divider.h"

namespace fettle {

/// How a block of threads lies over vectors of channels: `lines` times `lanes` side by side.
struct DepthwiseLanes {
  int lanes, lines;
  int64_t blocks;  ///< that have all channels together

  /// Of 8 to 32 lanes, which read 128 bytes of floats or more at once, those that leave fewest
  /// threads without work; all where channels are fewer.
  DepthwiseLanes(int64_t across, int threads) {
    double most = 0;
    for (int wide = static_cast<int>(std::min<int64_t>(across, 32)); wide > 0; --wide) {
      if (wide < 8 && most > 0) break;
      const int64_t wanted = (across + wide - 1) / wide;
      const int high = threads / wide;
      const double used = static_cast<double>(across * high) / static_cast<double>(wanted);
      if (used > most) most = used, lanes = wide, lines = high, blocks = wanted;
    }
  }
};

/// The extents along one axis, and where the first step lies: step p gives out places to_first +
/// Out p + b of `to`, and the first place of `from` that these see is from_first + In p.
struct DepthwiseAxis {
  int from_first, from_extent, to_first, to_extent;
};

/// A walk by filters of three taps that takes in `In` rows of `from` a step and gives out `Out` of
/// `to`; along a row likewise.
template <int In, int Out>
struct DepthwiseSteps {
  static constexpr int taps = 3;
  static constexpr int strip = In == 2 ? 2 : 4;  ///< neighbours of a row that a thread forms
  /// Rows that a step sees beside those that it takes in, and steps that took these in.
  static constexpr int halo = (taps - In) / Out, lead = (halo + In - 1) / In;
  /// Rows of `to` that a step adds to; the first `Out` it gives out.
  static constexpr int begun = (halo + In - 1) * Out / In + 1;
  static constexpr int columns = (taps - 1 + (strip - 1) * In) / Out + 1;  ///< under a strip

  /// The tap by which place b of `to` sees place l of `from`, both counted from a step's first.
  static constexpr int tap(int l, int b) { return l * Out - b * In; }
  static constexpr bool sees(int tap) { return tap >= 0 && tap < taps; }
};

/// Walks: each a part of the steps down a strip of a picture.
struct DepthwiseParts {
  Divider by_strips, by_parts;
  int steps, steps_a_part;
  int walks;   ///< of all pictures
  int shares;  ///< blocks that have the walks of the same channels
};

/// `to` of `from` and w [C,3,3].
template <class T>
struct DepthwiseWalk {
  static constexpr int V = 4, threads = 128;
  /// What a multiprocessor has room for. Forward with stride 2 reads four times what it writes, and
  /// bf16 is half the bytes a load: so more are needed, and fewer registers are.
  static constexpr int blocks_at_once(int in) { return in == 2 || sizeof(T) == 2 ? 4 : 3; }
  const T *from, *w;
  bool turned;  ///< the filter's last tap comes first
  const float* bias;
  const T* addend;
  Epilogue epilogue;
  T* to;
  DepthwiseAxis down, across;
  int C;
  DepthwiseParts parts = {};
};

/// [tap][channel of the block]; lines are padded by a vector, so that the nine taps of a filter go
/// to different banks.
struct DepthwiseFilters {
  float v[9][32 * 4 + 4];
};

/// Four channels as they lie in memory: bf16 in pairs, which take no instructions to move.
template <class T>
using DepthwiseWords = Vec<uint32_t, static_cast<int>(sizeof(T))>;

/// `Columns` places of a row, of which `from` is the first and lies in `column`; zeros where the
/// row has none.
template <int Columns, class T>
__device__ __forceinline__ void load_strip(DepthwiseWords<T> (&to)[Columns], const T* from, int C,
                                           bool row_is_there, int column, int extent) {
#pragma unroll
  for (int l = 0; l < Columns; ++l) {
    to[l] = {};
    if (row_is_there && inside(column + l, extent)) {
      to[l] = load_vec<sizeof(T)>(reinterpret_cast<const uint32_t*>(from + int64_t{l} * C));
    }
  }
}

/// What load_strip() has loaded, as floats.
template <class T, int Columns>
__device__ __forceinline__ void to_floats(Vec<float, 4> (&to)[Columns],
                                          const DepthwiseWords<T> (&from)[Columns]) {
#pragma unroll
  for (int l = 0; l < Columns; ++l) {
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      if constexpr (sizeof(T) == 4) {
        to[l][k] = float_of(from[l][k]);
      } else {
        to[l][k] = float_of(k % 2 ? from[l][k / 2] & 0xFFFF0000u : from[l][k / 2] << 16);
      }
    }
  }
}

/// Calls f(j, l, tap) for each tap of row r of the filter by which place j of a strip sees place l
/// of the columns under it; for none where there is no row r.
template <class Steps, class F>
__device__ __forceinline__ void for_taps(int r, const F& f) {
  if (!Steps::sees(r)) return;
#pragma unroll
  for (int j = 0; j < Steps::strip; ++j) {
#pragma unroll
    for (int l = 0; l < Steps::columns; ++l) {
      const int s = Steps::tap(l, j);
      if (Steps::sees(s)) f(j, l, r * Steps::taps + s);
    }
  }
}

/// One block: some walks of its channels. grid.x cuts the channels, grid.y shares the walks.
template <int In, int Out, class T>
__global__ void __launch_bounds__(DepthwiseWalk<T>::threads, DepthwiseWalk<T>::blocks_at_once(In))
    conv2d_depthwise_walk_kernel(DepthwiseWalk<T> c, DepthwiseLanes block) {
  wait_for_kernels_before();
  using Steps = DepthwiseSteps<In, Out>;
  constexpr int V = DepthwiseWalk<T>::V, strip = Steps::strip, columns = Steps::columns;
  const int thread = static_cast<int>(threadIdx.x);
  const int line = thread / block.lanes, lane = thread % block.lanes;
  const int first_channel = static_cast<int>(blockIdx.x) * block.lanes * V;
  const int channel = first_channel + lane * V;
  const bool active = line < block.lines && channel < c.C;
  const int64_t row_step = int64_t{c.across.from_extent} * c.C;
  const int64_t to_row_step = int64_t{c.across.to_extent} * c.C;

  int walk = static_cast<int>(blockIdx.y) * block.lines + line;
  int first = 0, end = 0;                        // its steps
  int column = 0, row = 0, top = 0, bottom = 0;  // of `from`: the next place, the rows that it sees
  int to_column = 0, to_row = 0;
  const T* from = nullptr;
  int64_t to = 0;
  DepthwiseWords<T> next[columns];
  const auto load_next = [&] {
    const bool there = row >= top && row >= 0 && row < bottom;
    load_strip(next, from, c.C, there, column, c.across.from_extent);
    ++row;
    from += row_step;
  };
  const auto begin_walk = [&] {
    if (!active || walk >= c.parts.walks) return;
    const PixelIndex at = pixel_index(walk, c.parts.by_strips, c.parts.by_parts);
    first = at.row * c.parts.steps_a_part;
    end = min_of(first + c.parts.steps_a_part, c.parts.steps);
    top = c.down.from_first + first * In;
    bottom = min_of(top + (end - first) * In + Steps::halo, c.down.from_extent);
    row = top + Steps::halo - Steps::lead * In;
    column = c.across.from_first + at.column * (strip / Out * In);
    from = c.from + channel + int64_t{column} * c.C +
           (int64_t{at.n} * c.down.from_extent + row) * row_step;
    to_row = c.down.to_first + (first - Steps::lead) * Out;
    to_column = c.across.to_first + at.column * strip;
    to = channel + int64_t{to_column} * c.C +
         (int64_t{at.n} * c.down.to_extent + to_row) * to_row_step;
    load_next();
  };
  begin_walk();  // so that its first row comes while the filters do

  auto& filters = shared<DepthwiseFilters>();
  const int some = min_of(block.lanes * V, c.C - first_channel) * 9;
  for (int i = thread; i < some; i += DepthwiseWalk<T>::threads) {
    filters.v[c.turned ? 8 - i % 9 : i % 9][i / 9] = to_float(c.w[first_channel * 9 + i]);
  }
  __syncthreads();
  if (!active) return;
  Vec<float, V> weights[9], bias = {};
#pragma unroll
  for (int tap = 0; tap < 9; ++tap) weights[tap] = load_vec<V>(&filters.v[tap][lane * V]);
  if (c.bias) bias = load_vec<V>(c.bias + channel);

  const int stride = static_cast<int>(gridDim.y) * block.lines;
  for (; walk < c.parts.walks; walk += stride, begin_walk()) {
    Vec<float, V> sums[Steps::begun][strip];
#pragma unroll
    for (auto& begun : sums) {
#pragma unroll
      for (auto& sum : begun) sum = bias;
    }
    for (int step = first - Steps::lead; step < end; ++step) {
#pragma unroll
      for (int in = 0; in < In; ++in) {
        Vec<float, V> x[columns];
        to_floats<T>(x, next);
        load_next();
#pragma unroll
        for (int b = 0; b < Steps::begun; ++b) {
          for_taps<Steps>(Steps::tap(Steps::halo + in, b), [&](int j, int l, int tap) {
#pragma unroll
            for (int k = 0; k < V; ++k) sums[b][j][k] += x[l][k] * weights[tap][k];
          });
        }
      }
#pragma unroll
      for (int b = 0; b < Out; ++b, ++to_row, to += to_row_step) {
        if (step < first || !inside(to_row, c.down.to_extent)) continue;
        if (c.addend) {
          DepthwiseWords<T> words[strip];
          Vec<float, V> more[strip];
          load_strip(words, c.addend + to, c.C, true, to_column, c.across.to_extent);
          to_floats<T>(more, words);
#pragma unroll
          for (int j = 0; j < strip; ++j) {
#pragma unroll
            for (int k = 0; k < V; ++k) sums[b][j][k] += more[j][k];
          }
        }
        if (c.epilogue == Epilogue::relu) {
#pragma unroll
          for (int j = 0; j < strip; ++j) {
#pragma unroll
            for (int k = 0; k < V; ++k) sums[b][j][k] = sums[b][j][k] < 0 ? 0 : sums[b][j][k];
          }
        }
#pragma unroll
        for (int j = 0; j < strip; ++j) {
          if (inside(to_column + j, c.across.to_extent)) {
            store_floats_at_once(c.to + to + int64_t{j} * c.C, sums[b][j]);
          }
        }
      }
#pragma unroll
      for (int b = 0; b < Steps::begun; ++b) {
#pragma unroll
        for (int j = 0; j < strip; ++j)
          sums[b][j] = b + Out < Steps::begun ? sums[b + Out][j] : bias;
      }
    }
  }
}

}  // namespace fettle
