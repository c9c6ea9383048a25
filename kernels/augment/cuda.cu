// One kernel for a whole list of changes. A thread computes one output pixel with all its channels:
// it goes back through the moves, the last one first, to the up to 4 pixels of each that it mixes
// (16 for two bilinear ones), reads these where the pictures lie, and colours what it has. A warp's
// 32 pixels lie in a row, and where they come from, for small changes, too: they are read from the
// caches, and memory moves 1 byte and 4 a channel. Nothing is shared. The limit is memory bandwidth
// for one bilinear move, address arithmetic for more.
//
// Contrast asks for the means of whole pictures as they are before it: then these are written
// first, summed, and changed on in their place.
#include <algorithm>
#include <cmath>
#include <iterator>

#include "kernels/augment/augment.h"
#include "kernels/augment/mirror.h"
#include "kernels/column_sums.cuh"
#include "kernels/cu.h"

namespace fettle {
namespace {

/// Rounds after the product too, as the CPU does: a fused product could choose another pixel.
__device__ __forceinline__ float product_sum(float a, float b, float c) {
#if defined(__CUDA_ARCH__)
  return __fadd_rn(__fmul_rn(a, b), c);
#else
  return a * b + c;
#endif
}

/// Neighbouring channels of a pixel.
template <int V>
struct Channels {
  float v[V];
};

/// The channels from element i of picture n on, before any change.
template <int V>
__device__ __forceinline__ Channels<V> original(const Pictures& p, int64_t n, int64_t i) {
  Channels<V> value = {};
  i += n * p.H * p.W * p.C;
  if (p.bytes) {
    const float mean = p.scaling ? p.scaling[2 * n] : 0.0f;
    const float factor = p.scaling ? p.scaling[2 * n + 1] : 1.0f;
    for (int k = 0; k < V; ++k) value.v[k] = (static_cast<float>(p.bytes[i + k]) - mean) * factor;
  } else {
    for (int k = 0; k < V; ++k) value.v[k] = p.floats[i + k];
  }
  return value;
}

/// What picture n shows there after the first `Moves` moves, from channel c on.
template <int Moves, int V>
__device__ __forceinline__ Channels<V> shown(const Pictures& p, const PictureChanges& changes,
                                             int64_t n, int row, int column, int64_t c) {
  if constexpr (Moves == 0) {
    return original<V>(p, n, (row * p.W + column) * p.C + c);
  } else {
    const int H = static_cast<int>(p.H), W = static_cast<int>(p.W);
    const float* t = changes.move[Moves - 1].transforms + n * 6;
    const auto j = static_cast<float>(column), i = static_cast<float>(row);
    const float from_column = product_sum(t[0], j, product_sum(t[1], i, t[2]));
    const float from_row = product_sum(t[3], j, product_sum(t[4], i, t[5]));
    const bool nearest = changes.move[Moves - 1].interpolation == Interpolation::nearest;
    const float h = std::floor(nearest ? from_row + 0.5f : from_row);
    const float w = std::floor(nearest ? from_column + 0.5f : from_column);
    const float a = from_row - h, b = from_column - w;
    const int left = mirrored(static_cast<int>(w), W);
    const int right = mirrored(static_cast<int>(w) + 1, W);
    const int lines = nearest ? 1 : 2;
    Channels<V> value = {};
#pragma unroll 1  // each line is all the moves before
    for (int k = 0; k < lines; ++k) {
      const int from = mirrored(static_cast<int>(h) + k, H);
      Channels<V> line = shown<Moves - 1, V>(p, changes, n, from, left, c);
      if (!nearest) {
        const Channels<V> other = shown<Moves - 1, V>(p, changes, n, from, right, c);
        for (int q = 0; q < V; ++q) line.v[q] += b * (other.v[q] - line.v[q]);
      }
      for (int q = 0; q < V; ++q)
        value.v[q] = k == 0 ? line.v[q] : value.v[q] + a * (line.v[q] - value.v[q]);
    }
    return value;
  }
}

/// A value of picture n's channel c after the changes of colours, of which the first alone may be a
/// contrast, with its `offsets` [N,C].
__device__ __forceinline__ float coloured(const Pictures& p, const PictureChanges& changes,
                                          const float* offsets, int64_t n, int64_t c, float value) {
#pragma unroll
  for (int k = 0; k < PictureChanges::most; ++k) {
    if (k >= changes.colours) break;
    const ColourChange& change = changes.colour[k];
    if (change.kind == ColourChange::Kind::rescale) {
      value = change.a * value + change.b;
    } else if (change.kind == ColourChange::Kind::contrast) {
      value = value * change.drawn[n] + offsets[n * p.C + c];
    } else {
      const float sum = value + change.drawn[n];
      value = sum < change.a ? change.a : sum > change.b ? change.b : sum;
    }
  }
  return value;
}

template <int Moves, int V>
__global__ void __launch_bounds__(256, 2)
    augment_kernel(const __grid_constant__ Pictures p,
                   const __grid_constant__ PictureChanges changes, const float* offsets, float* y) {
  wait_for_kernels_before();
  const auto W = static_cast<unsigned>(p.W), pixels = static_cast<unsigned>(p.H) * W;
  const unsigned pixel = blockIdx.x * 256 + threadIdx.x;
  if (pixel >= pixels) return;
  for (int64_t n = blockIdx.y; n < p.N; n += gridDim.y) {
    float* out = y + (n * pixels + pixel) * p.C;
    for (int64_t c = 0; c < p.C; c += V) {
      const Channels<V> value = shown<Moves, V>(p, changes, n, static_cast<int>(pixel / W),
                                                static_cast<int>(pixel % W), c);
      for (int k = 0; k < V; ++k) out[c + k] = coloured(p, changes, offsets, n, c + k, value.v[k]);
    }
  }
}

template <int Moves>
void launch_augment(Cuda device, const Pictures& p, const PictureChanges& changes,
                    const float* offsets, float* y) {
  const dim3 grid(blocks_for(p.H * p.W, 256), static_cast<unsigned>(std::min<int64_t>(p.N, 65535)));
  launch("augment", p.C == 3 ? augment_kernel<Moves, 3> : augment_kernel<Moves, 1>, grid, 256, 0,
         device, p, changes, offsets, y);
}

void run(Cuda device, const Pictures& p, const PictureChanges& changes, const float* offsets,
         float* y) {
  constexpr decltype(&launch_augment<0>) by_moves[] = {launch_augment<0>, launch_augment<1>,
                                                       launch_augment<2>, launch_augment<3>};
  static_assert(std::size(by_moves) == PictureChanges::most + 1);
  by_moves[changes.moves](device, p, changes, offsets, y);
}

/// What a contrast adds: mean * (1 - factor).
struct WriteOffset {
  const float* factors;
  int64_t pixels, C;
  float* offsets;
  __device__ void operator()(int64_t n, int c, const double (&sums)[1]) const {
    const double mean = sums[0] / static_cast<double>(pixels);
    offsets[n * C + c] = static_cast<float>(mean * (1.0 - factors[n]));
  }
};

/// The place of the first contrast from `from` on; past the end without.
int contrast_in(const PictureChanges& changes, int from) {
  while (from < changes.colours && changes.colour[from].kind != ColourChange::Kind::contrast)
    ++from;
  return from;
}

}  // namespace

void augment(Cuda device, const Pictures& pictures, const PictureChanges& changes, float* y) {
  Pictures p = pictures;
  PictureChanges rest = changes;
  const float* offsets = nullptr;  // of the contrast that is the first of the rest's colours
  for (int k; (k = contrast_in(rest, offsets ? 1 : 0)) < rest.colours;) {
    if (k > 0 || rest.moves > 0 || p.bytes) {
      PictureChanges before = rest;
      before.colours = k;
      run(device, p, before, offsets, y);
      p = {p.N, p.H, p.W, p.C, y};
      rest.moves = 0;
      rest.colours -= k;
      for (int i = 0; i < rest.colours; ++i) rest.colour[i] = rest.colour[i + k];
    }
    const int64_t pixels = p.H * p.W;
    const float* factors = rest.colour[0].drawn;
    float* next = scratch<float>(device, p.N * p.C, 1);
    column_sums<1>("augment", device, {p.N, pixels, static_cast<int>(p.C)}, EachElement{p.floats},
                   WriteOffset{factors, pixels, p.C, next}, p.floats);
    offsets = next;
  }
  run(device, p, rest, offsets, y);
}

}  // namespace fettle
