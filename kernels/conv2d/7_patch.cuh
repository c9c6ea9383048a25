// Rung 7: few channels. In rungs 4 to 6 each tap fetches its windows anew, nine times the picture
// for 3x3; with 16 channels that is all there is to do. Here a block keeps what the taps of 8x32
// output pixels (4x32 of 32 floats) see in shared memory, fetched once, and the filters with it; a
// tap only begins elsewhere.
//
// A warp has one row of 32 pixels and multiplies 16 of them by 16 channels (bf16) or by 8 (tf32) at
// a time with mma.sync, ldmatrix finding each pixel's line by itself: to it, a float is two
// elements. The chunks of 16 bytes of a pixel change places so that the eight lines of an ldmatrix,
// 32 to 128 bytes apart, meet no bank twice. While a block multiplies one patch, cp.async fetches
// the next into the other half of its memory. Floats are rounded to tf32 where they have landed,
// once for all taps.
//
// Backward input is the same convolution of dy, with the filters turned round and their channels
// exchanged; that happens once, when a block takes them to shared memory.
//
// Stride and dilation 1, up to 3x3 taps, up to 32 channels on both sides. Shared memory: two
// patches and the filters, 26 to 62 KiB of bf16, 51 to 89 of floats. Bytes an output pixel in bf16:
// 2 C (8+R-1)(32+S-1)/256 read, 2 K written. It aims for the limit of memory; for 3x3 taps the
// reads of shared memory cost as much.
#pragma once

#include "kernels/conv2d/operands.cuh"

namespace fettle {

/// Elements are bf16 or float. `Sixteens`: of channels that are summed over; `Eights`: of results.
template <class E, int Sixteens, int Eights>
struct PatchTiling {
  using Element = E;
  static constexpr int eights = Eights, channels = Sixteens * 16;
  static constexpr int each = 16 / sizeof(E);  ///< elements of a chunk of 16 bytes
  static constexpr int chunks = channels / each, words = chunks / 2;  ///< of a pixel
  static constexpr int rows = chunks > 4 ? 4 : 8, columns = 32, threads = rows * 32;
  static constexpr int most_taps = 3;
  static constexpr int pixels = (rows + most_taps - 1) * (columns + most_taps - 1);
  static constexpr int blocks = chunks > 4 || eights > 2 ? 2 : 3;  ///< on a multiprocessor
};

template <class T>
struct PatchShared {
  using E = typename T::Element;
  alignas(128) E patch[2][T::pixels * T::channels];
  alignas(128) E filters[T::most_taps * T::most_taps * T::words][T::eights * 8 * 2 * T::each];
};

/// The convolution as this rung sees it: `in` is x or dy, `C` its channels in whole chunks.
template <class E>
struct PatchConvolution {
  const E *in, *w;
  GemmOutput out;
  int H, W, C, P, Q, K, R, S, pad_top, pad_left;
  bool turned;           ///< backward input
  int line;              ///< from a filter's tap to the next
  Divider by_width;      ///< of a patch with its halo
  Divider across, down;  ///< patches of a picture
  int patches;
};

/// Where chunk `chunk` of pixel i lies, or of filter i, whose lines have two.
template <int Chunks, class E>
__device__ __forceinline__ E* patch_chunk(E* lines, int i, int chunk) {
  constexpr int each = 16 / sizeof(E);
  return lines + (i * Chunks + (chunk ^ i / (8 / Chunks) % Chunks)) * each;
}

struct PatchPlace {
  int n, p0, q0;
};
template <class T>
__device__ __forceinline__ PatchPlace place_of_patch(const PatchConvolution<typename T::Element>& c,
                                                     int patch) {
  const int line = c.across.quotient(patch), n = c.down.quotient(line);
  return {n, c.down.remainder(line, n) * T::rows, c.across.remainder(patch, line) * T::columns};
}

template <class T>
__device__ __forceinline__ int chunks_of_patch(const PatchConvolution<typename T::Element>& c) {
  return (T::rows + c.R - 1) * (T::columns + c.S - 1) * T::chunks;
}

template <class T, class E = typename T::Element>
__device__ __forceinline__ void fetch_patch(const PatchConvolution<E>& c, int patch, E* to) {
  const PatchPlace at = place_of_patch<T>(c, patch);
  const int chunks = chunks_of_patch<T>(c);
  for (int i = static_cast<int>(threadIdx.x); i < chunks; i += T::threads) {
    const int pixel = i / T::chunks, chunk = i % T::chunks;
    const int row = c.by_width.quotient(pixel), column = c.by_width.remainder(pixel, row);
    const int h = at.p0 + row - c.pad_top, w = at.q0 + column - c.pad_left;
    const bool there = inside(h, c.H) && inside(w, c.W) && chunk * T::each < c.C;
    const E* from =
        there ? c.in + ((int64_t{at.n} * c.H + h) * c.W + w) * c.C + chunk * T::each : c.in;
    cp_async<16>(patch_chunk<T::chunks>(to, pixel, chunk), from, there);
  }
}

/// To tf32, where a patch has landed.
template <class T>
__device__ __forceinline__ void round_patch(const PatchConvolution<float>& c, float* patch) {
  const int chunks = chunks_of_patch<T>(c);
  for (int i = static_cast<int>(threadIdx.x); i < chunks; i += T::threads) {
    round_to_tf32<4>(patch + i * 4);
  }
}

__device__ __forceinline__ void patch_mma(float (&d)[4], const uint32_t (&a)[4],
                                          const uint32_t (&b)[2], bf16) {
  mma_bf16(d, a, b);
}
__device__ __forceinline__ void patch_mma(float (&d)[4], const uint32_t (&a)[4],
                                          const uint32_t (&b)[2], float) {
  mma_tf32(d, a, b);
}

/// One block: some patches, one after another.
template <class T, class E = typename T::Element>
__global__ void __launch_bounds__(T::threads, T::blocks)
    conv2d_patch_kernel(PatchConvolution<E> c) {
  wait_for_kernels_before();
  auto& shared = *dynamic_shared<PatchShared<T>>();
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32, row = thread / 32;
  const int taps = c.R * c.S, step = static_cast<int>(gridDim.x);
  int patch = static_cast<int>(blockIdx.x);
  fetch_patch<T>(c, patch, shared.patch[0]);
  cp_async_commit();

  constexpr int filters = T::eights * 8, of_word = 2 * T::each;
  for (int i = thread; i < taps * filters * T::channels; i += T::threads) {
    const int channel = i % T::channels, n = i / T::channels % filters;
    const int tap = i / T::channels / filters;
    E weight{};
    if (n < c.K && channel < c.C) {
      weight = c.turned ? c.w[(channel * taps + taps - 1 - tap) * c.line + n]
                        : c.w[(n * taps + tap) * c.line + channel];
    }
    if constexpr (sizeof(E) == 4) weight = float_of(to_tf32(weight));
    patch_chunk<2>(shared.filters[tap * T::words + channel / of_word], n,
                   channel % of_word / T::each)[channel % T::each] = weight;
  }

  const int width = T::columns + c.S - 1;
  for (int turn = 0; patch < c.patches; patch += step, turn ^= 1) {
    if (patch + step < c.patches) fetch_patch<T>(c, patch + step, shared.patch[turn ^ 1]);
    cp_async_commit();
    cp_async_wait<1>();
    __syncthreads();
    if constexpr (sizeof(E) == 4) {
      round_patch<T>(c, shared.patch[turn]);
      __syncthreads();
    }
    float sums[2][T::eights][4] = {};
    for (int tap = 0, r = 0, s = 0; tap < taps; ++tap) {
      const int first = (row + r) * width + s + lane % 16;
#pragma unroll
      for (int k = 0; k < T::words; ++k) {
        uint32_t a[2][4];
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          ldmatrix_x4(a[half], patch_chunk<T::chunks>(shared.patch[turn], first + half * 16,
                                                      k * 2 + lane / 16));
        }
#pragma unroll
        for (int n = 0; n < T::eights; n += 2) {
          uint32_t b[4];
          ldmatrix_x4(b, patch_chunk<2>(shared.filters[tap * T::words + k],
                                        n * 8 + lane / 16 * 8 + lane % 8, lane / 8 % 2));
#pragma unroll
          for (int half = 0; half < 2; ++half) {
            patch_mma(sums[half][n], a[half], {b[0], b[1]}, E{});
            patch_mma(sums[half][n + 1], a[half], {b[2], b[3]}, E{});
          }
        }
      }
      if (++s == c.S) s = 0, ++r;
    }
    const PatchPlace at = place_of_patch<T>(c, patch);
    const int p = at.p0 + row;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      int places[2];
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const int q = at.q0 + half * 16 + i * 8 + lane / 4;
        places[i] = p < c.P && q < c.Q ? (at.n * c.P + p) * c.Q + q : -1;
      }
      c.out.by_adding([&](auto adds) {
        store_mma_sums<adds, T::eights>(c.out, places, 0, c.K, 0, 0, lane,
                                        [&](int j, int e) { return sums[half][j][e]; });
      });
    }
    __syncthreads();  // before the patch after the next comes here
  }
}

}  // namespace fettle
