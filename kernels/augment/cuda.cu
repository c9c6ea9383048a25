#include <cmath>

#include "kernels/augment/augment.h"
#include "kernels/augment/mirror.h"
#include "kernels/column_sums.cuh"
#include "kernels/elementwise_loop.cuh"

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

/// One thread: one output pixel with all its channels. A warp's 32 pixels lie in a row, and where
/// they come from, for small changes, too. Bytes a pixel: 4 * C to write and about as many to read;
/// limited by memory bandwidth.
__global__ void __launch_bounds__(256)
    affine_transform_kernel(PictureShape s, Interpolation interpolation,
                            const float* __restrict__ x, const float* __restrict__ transforms,
                            float* __restrict__ y) {
  const bool nearest = interpolation == Interpolation::nearest;
  for (int64_t i = strided_first(); i < s.N * s.H * s.W; i += strided_step()) {
    const int64_t n = i / (s.H * s.W);
    const auto column_out = static_cast<float>(i % s.W);
    const auto row_out = static_cast<float>(i / s.W % s.H);
    const float* t = transforms + n * 6;
    const float column = product_sum(t[0], column_out, product_sum(t[1], row_out, t[2]));
    const float row = product_sum(t[3], column_out, product_sum(t[4], row_out, t[5]));
    const float h = std::floor(nearest ? row + 0.5f : row);
    const float w = std::floor(nearest ? column + 0.5f : column);
    const float* picture = x + n * s.H * s.W * s.C;
    const float* top = picture + mirrored(static_cast<int64_t>(h), s.H) * s.W * s.C;
    const int64_t left = mirrored(static_cast<int64_t>(w), s.W) * s.C;
    float* out = y + i * s.C;
    if (nearest) {
      for (int64_t c = 0; c < s.C; ++c) out[c] = top[left + c];
      continue;
    }
    const float* bottom = picture + mirrored(static_cast<int64_t>(h) + 1, s.H) * s.W * s.C;
    const int64_t right = mirrored(static_cast<int64_t>(w) + 1, s.W) * s.C;
    const float a = row - h, b = column - w;
    for (int64_t c = 0; c < s.C; ++c) {
      const float above = top[left + c] + b * (top[right + c] - top[left + c]);
      const float below = bottom[left + c] + b * (bottom[right + c] - bottom[left + c]);
      out[c] = above + a * (below - above);
    }
  }
}

/// mean * (1 - factor), what adjust_contrast adds.
struct WriteOffset {
  const float* factors;
  int64_t pixels, C;
  float* offsets;
  __device__ void operator()(int64_t n, int c, const double (&sums)[1]) const {
    const double mean = sums[0] / static_cast<double>(pixels);
    offsets[n * C + c] = static_cast<float>(mean * (1.0 - factors[n]));
  }
};

struct Contrast {
  int64_t a_picture, C;
  const float *x, *factors, *offsets;
  float* y;
  template <int V>
  __device__ void at(int64_t i) const {
    auto value = load_vec<V>(x + i);
    for (int k = 0; k < V; ++k) {
      const int64_t n = (i + k) / a_picture;
      value[k] = value[k] * factors[n] + offsets[n * C + (i + k) % C];
    }
    store_vec(y + i, value);
  }
};

struct Brightness {
  int64_t a_picture;
  float low, high;
  const float *x, *deltas;
  float* y;
  template <int V>
  __device__ void at(int64_t i) const {
    auto value = load_vec<V>(x + i);
    for (int k = 0; k < V; ++k) {
      const float sum = value[k] + deltas[(i + k) / a_picture];
      value[k] = sum < low ? low : sum > high ? high : sum;
    }
    store_vec(y + i, value);
  }
};

}  // namespace

void affine_transform(Cuda device, const PictureShape& s, Interpolation interpolation,
                      const float* x, const float* transforms, float* y) {
  launch("affine_transform", affine_transform_kernel, strided_blocks(s.N * s.H * s.W, 256), 256, 0,
         device, s, interpolation, x, transforms, y);
}

void adjust_contrast(Cuda device, const PictureShape& s, const float* x, const float* factors,
                     float* y) {
  const int64_t pixels = s.H * s.W;
  float* offsets = scratch<float>(device, s.N * s.C, 1);
  column_sums<1>("adjust_contrast", device, {s.N, pixels, static_cast<int>(s.C)}, EachElement{x},
                 WriteOffset{factors, pixels, s.C, offsets}, x);
  elementwise("adjust_contrast", device, s.N * pixels * s.C,
              Contrast{pixels * s.C, s.C, x, factors, offsets, y}, x, y);
}

void adjust_brightness(Cuda device, const PictureShape& s, float low, float high, const float* x,
                       const float* deltas, float* y) {
  const int64_t a_picture = s.H * s.W * s.C;
  elementwise("adjust_brightness", device, s.N * a_picture,
              Brightness{a_picture, low, high, x, deltas, y}, x, y);
}

}  // namespace fettle
