// One kernel for a whole list of changes. A thread computes one output pixel with all its channels:
// it goes back through the moves, the last one first, to the up to 4 pixels of each that it mixes
// (16 for two bilinear ones), reads these where the pictures lie, and colours what it has. A warp's
// 32 pixels lie in a row, and where they come from, for small changes, too: they are read from the
// caches, and memory moves 1 byte and 4 a channel. Nothing is shared. The limit is memory bandwidth
// for one bilinear move, address arithmetic for more.
//
// Contrast asks for means of whole moved pictures first: then what the moves show is written,
// summed, and coloured in its place.
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

/// A value of picture n's channel c after the first `colours` changes. `offsets` [colours,N,C]
/// holds what a contrast adds, its mean * (1 - factor).
__device__ __forceinline__ float coloured(const Pictures& p, const PictureChanges& changes,
                                          int colours, const float* offsets, int64_t n, int64_t c,
                                          float value) {
#pragma unroll
  for (int k = 0; k < PictureChanges::most; ++k) {
    if (k >= colours) break;
    const ColourChange& change = changes.colour[k];
    if (change.kind == ColourChange::Kind::rescale) {
      value = change.a * value + change.b;
    } else if (change.kind == ColourChange::Kind::contrast) {
      value = value * change.drawn[n] + offsets[(k * p.N + n) * p.C + c];
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
  const auto W = static_cast<unsigned>(p.W), pixels = static_cast<unsigned>(p.H) * W;
  const unsigned pixel = blockIdx.x * 256 + threadIdx.x;
  if (pixel >= pixels) return;
  for (int64_t n = blockIdx.y; n < p.N; n += gridDim.y) {
    float* out = y + (n * pixels + pixel) * p.C;
    for (int64_t c = 0; c < p.C; c += V) {
      const Channels<V> value = shown<Moves, V>(p, changes, n, static_cast<int>(pixel / W),
                                                static_cast<int>(pixel % W), c);
      for (int k = 0; k < V; ++k)
        out[c + k] = coloured(p, changes, changes.colours, offsets, n, c + k, value.v[k]);
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

/// A pixel after the colour changes before a contrast.
struct BeforeContrast {
  Pictures p;
  PictureChanges changes;
  int colours;
  const float* offsets;
  template <int V>
  __device__ void at(int64_t i, NoNumbers, Vec<float, V> (&values)[1]) const {
    const int64_t a_picture = p.H * p.W * p.C;
    for (int k = 0; k < V; ++k) {
      const int64_t n = (i + k) / a_picture, place = (i + k) % a_picture;
      const Channels<1> value = original<1>(p, n, place);
      values[0][k] =
          coloured(p, changes, colours, offsets, n, static_cast<int>(place % p.C), value.v[0]);
    }
  }
};
struct WriteOffset {
  const float* factors;
  int64_t pixels, C;
  float* offsets;
  __device__ void operator()(int64_t n, int c, const double (&sums)[1]) const {
    const double mean = sums[0] / static_cast<double>(pixels);
    offsets[n * C + c] = static_cast<float>(mean * (1.0 - factors[n]));
  }
};

bool has_contrast(const PictureChanges& changes) {
  for (int k = 0; k < changes.colours; ++k) {
    if (changes.colour[k].kind == ColourChange::Kind::contrast) return true;
  }
  return false;
}

}  // namespace

void augment(Cuda device, const Pictures& pictures, const PictureChanges& given, float* y) {
  Pictures p = pictures;
  PictureChanges changes = given;
  if (!has_contrast(changes)) return run(device, p, changes, nullptr, y);
  if (changes.moves > 0) {
    changes.colours = 0;
    run(device, p, changes, nullptr, y);
    p = {p.N, p.H, p.W, p.C, y};
    changes = given;
    changes.moves = 0;
  }
  float* offsets = scratch<float>(device, PictureChanges::most * p.N * p.C, 1);
  for (int k = 0; k < changes.colours; ++k) {
    if (changes.colour[k].kind != ColourChange::Kind::contrast) continue;
    column_sums<1>("augment", device, {p.N, p.H * p.W, static_cast<int>(p.C)},
                   BeforeContrast{p, changes, k, offsets},
                   WriteOffset{changes.colour[k].drawn, p.H * p.W, p.C, offsets + k * p.N * p.C},
                   y);
  }
  run(device, p, changes, offsets, y);
}

}  // namespace fettle
