#include <cmath>

#include "kernels/cu.h"
#include "kernels/upsample2d/upsample2d.h"

namespace fettle {
namespace {

struct Place {
  int64_t n, row, column, c;
};
__device__ __forceinline__ Place place_of(int64_t i, int64_t rows, int64_t columns, int64_t C) {
  const int64_t pixel = i / C, line = pixel / columns;
  return {line / rows, line % rows, pixel % columns, i % C};
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

/// One thread: one output. Neighbours have neighbouring channels. Bytes an output: 4 to write, and
/// 4 / (factor_h * factor_w) to read but for what the caches hold; limited by memory bandwidth.
__global__ void __launch_bounds__(256)
    upsample2d_forward_kernel(Upsample2dShape s, Upsampling how, const float* __restrict__ x,
                              float* __restrict__ y) {
  const int64_t P = s.H * s.factor_h, Q = s.W * s.factor_w;
  for (int64_t i = strided_first(); i < s.N * P * Q * s.C; i += strided_step()) {
    const Place at = place_of(i, P, Q, s.C);
    const float* picture = x + at.n * s.H * s.W * s.C + at.c;
    const auto pixel = [&](int64_t h, int64_t w) { return picture[(h * s.W + w) * s.C]; };
    if (how == Upsampling::nearest) {
      y[i] = pixel(at.row / s.factor_h, at.column / s.factor_w);
      continue;
    }
    const Between h = between(at.row, s.factor_h, s.H), w = between(at.column, s.factor_w, s.W);
    const float above = (1 - w.share) * pixel(h.low, w.low) + w.share * pixel(h.low, w.high);
    const float below = (1 - w.share) * pixel(h.high, w.low) + w.share * pixel(h.high, w.high);
    y[i] = (1 - h.share) * above + h.share * below;
  }
}

/// One thread: one input, which gathers from its outputs row by row: the same sum every time. Bytes
/// an input: 4 * factor_h * factor_w to read, 4 to write; limited by memory bandwidth.
__global__ void __launch_bounds__(256)
    upsample2d_backward_kernel(Upsample2dShape s, Upsampling how, const float* __restrict__ dy,
                               float* __restrict__ dx) {
  const int64_t P = s.H * s.factor_h, Q = s.W * s.factor_w;
  for (int64_t i = strided_first(); i < s.N * s.H * s.W * s.C; i += strided_step()) {
    const Place at = place_of(i, s.H, s.W, s.C);
    const Lookers rows = lookers(how, at.row, s.factor_h, s.H);
    const Lookers columns = lookers(how, at.column, s.factor_w, s.W);
    float sum = 0;
    for (int64_t p = rows.first; p < rows.end; ++p) {
      float of_row = 0;
      for (int64_t q = columns.first; q < columns.end; ++q) {
        of_row += weight_of(how, q, at.column, s.factor_w, s.W) *
                  dy[((at.n * P + p) * Q + q) * s.C + at.c];
      }
      sum += weight_of(how, p, at.row, s.factor_h, s.H) * of_row;
    }
    dx[i] = sum;
  }
}

}  // namespace

void upsample2d_forward(Cuda device, const Upsample2dShape& s, Upsampling how, const float* x,
                        float* y) {
  const int64_t outputs = s.N * s.H * s.factor_h * s.W * s.factor_w * s.C;
  launch("upsample2d_forward", upsample2d_forward_kernel, strided_blocks(outputs, 256), 256, 0,
         device, s, how, x, y);
}

void upsample2d_backward(Cuda device, const Upsample2dShape& s, Upsampling how, const float* dy,
                         float* dx) {
  launch("upsample2d_backward", upsample2d_backward_kernel,
         strided_blocks(s.N * s.H * s.W * s.C, 256), 256, 0, device, s, how, dy, dx);
}

}  // namespace fettle
