// Rung 1: the definition. One thread computes one output and reads everything it needs from global
// memory; nothing is shared. In the forward direction the threads of a warp have neighbouring
// output channels k, so they read the same x (one broadcast) and weights that lie R*S*C apart.
//
// An output costs 2*R*S*C operations and asks for 8*R*S*C bytes: a quarter of an operation a byte,
// where a GPU can do ten or more. The caches save it from that figure, not from its order.
#pragma once

#include "kernels/conv2d/conv2d.h"
#include "kernels/cu.h"

namespace fettle {

inline constexpr int direct_threads = 256;

/// One thread: y[n,p,q,k].
template <class T>
__global__ void __launch_bounds__(direct_threads)
    conv2d_forward_direct_kernel(Conv2dShape s, const T* __restrict__ x, const T* __restrict__ w,
                                 const float* __restrict__ bias, const T* addend, Epilogue epilogue,
                                 T* y) {
  wait_for_kernels_before();
  const int64_t Cg = s.C / s.groups, Kg = s.K / s.groups;
  for (int64_t i = strided_first(); i < s.N * s.P * s.Q * s.K; i += strided_step()) {
    const int64_t k = i % s.K, q = i / s.K % s.Q, p = i / s.K / s.Q % s.P, n = i / s.K / s.Q / s.P;
    const int64_t first_channel = k / Kg * Cg;
    float sum = 0;
    for (int64_t r = 0; r < s.R; ++r) {
      const int64_t h = p * s.stride_h + r * s.dilation_h - s.pad_top;
      if (h < 0 || h >= s.H) continue;
      for (int64_t t = 0; t < s.S; ++t) {
        const int64_t v = q * s.stride_w + t * s.dilation_w - s.pad_left;
        if (v < 0 || v >= s.W) continue;
        const T* pixel = x + ((n * s.H + h) * s.W + v) * s.C + first_channel;
        const T* weights = w + ((k * s.R + r) * s.S + t) * Cg;
        for (int64_t c = 0; c < Cg; ++c) sum += to_float(pixel[c]) * to_float(weights[c]);
      }
    }
    if (bias) sum += bias[k];
    if (addend) sum += to_float(addend[i]);
    y[i] = from_float<T>(epilogue == Epilogue::relu && sum < 0 ? 0.0f : sum);
  }
}

/// One thread: dx[n,h,w,c], from every output whose window covers the pixel.
template <class T>
__global__ void __launch_bounds__(direct_threads)
    conv2d_backward_input_direct_kernel(Conv2dShape s, const T* __restrict__ dy,
                                        const T* __restrict__ w, const T* addend, T* dx) {
  wait_for_kernels_before();
  const int64_t Cg = s.C / s.groups, Kg = s.K / s.groups;
  for (int64_t i = strided_first(); i < s.N * s.H * s.W * s.C; i += strided_step()) {
    const int64_t c = i % s.C, v = i / s.C % s.W, h = i / s.C / s.W % s.H, n = i / s.C / s.W / s.H;
    const int64_t first_output = c / Cg * Kg;
    float sum = 0;
    for (int64_t r = 0; r < s.R; ++r) {
      const int64_t above = h + s.pad_top - r * s.dilation_h;
      if (above < 0 || above % s.stride_h != 0 || above / s.stride_h >= s.P) continue;
      for (int64_t t = 0; t < s.S; ++t) {
        const int64_t left = v + s.pad_left - t * s.dilation_w;
        if (left < 0 || left % s.stride_w != 0 || left / s.stride_w >= s.Q) continue;
        const T* output =
            dy + ((n * s.P + above / s.stride_h) * s.Q + left / s.stride_w) * s.K + first_output;
        for (int64_t k = 0; k < Kg; ++k) {
          const T weight = w[(((first_output + k) * s.R + r) * s.S + t) * Cg + c % Cg];
          sum += to_float(output[k]) * to_float(weight);
        }
      }
    }
    if (addend) sum += to_float(addend[i]);
    dx[i] = from_float<T>(sum);
  }
}

/// One thread: dw[k,r,s,c], a sum over every output pixel. There are few weights and many pixels,
/// so that most of the GPU has nothing to do: rung 3 cuts the sum into parts.
template <class T>
__global__ void __launch_bounds__(direct_threads)
    conv2d_backward_weight_direct_kernel(Conv2dShape s, const T* __restrict__ dy,
                                         const T* __restrict__ x, float* __restrict__ dw) {
  wait_for_kernels_before();
  const int Cg = static_cast<int>(s.C / s.groups), Kg = static_cast<int>(s.K / s.groups);
  const int R = static_cast<int>(s.R), S = static_cast<int>(s.S);  // weights count in 32 bits
  const int64_t weights = s.K * s.R * s.S * Cg;
  for (int64_t i = strided_first(); i < weights; i += strided_step()) {
    const int tap = static_cast<int>(i) / Cg, c = static_cast<int>(i) % Cg;
    const int t = tap % S, r = tap / S % R, k = tap / S / R;
    const int64_t channel = k / Kg * Cg + c;
    float sum = 0;
    for (int64_t n = 0; n < s.N; ++n) {
      float of_picture = 0;  // shorter sums lose less
      for (int64_t p = 0; p < s.P; ++p) {
        const int64_t h = p * s.stride_h + r * s.dilation_h - s.pad_top;
        if (h < 0 || h >= s.H) continue;
        for (int64_t q = 0; q < s.Q; ++q) {
          const int64_t v = q * s.stride_w + t * s.dilation_w - s.pad_left;
          if (v < 0 || v >= s.W) continue;
          of_picture += to_float(dy[((n * s.P + p) * s.Q + q) * s.K + k]) *
                        to_float(x[((n * s.H + h) * s.W + v) * s.C + channel]);
        }
      }
      sum += of_picture;
    }
    dw[i] = sum;
  }
}

}  // namespace fettle
