#include "kernels/conv2d/cuda_depthwise.h"

#include <algorithm>
#include <utility>

#include "kernels/conv2d/8_depthwise.cuh"

namespace fettle {
namespace {

int number(int64_t n) {
  return static_cast<int>(n);
}

template <int V, class T, class Axis>
void launch_depthwise(const char* name, Cuda device, const DepthwiseConvolution<T, Axis>& c) {
  const DepthwiseLanes walk(c.C, V);
  const int64_t at_once = gpu_info().multiprocessors * int64_t{8};
  const auto shares = static_cast<unsigned>(
      std::clamp<int64_t>(at_once / walk.blocks, 1, (c.strips + walk.lines - 1) / walk.lines));
  launch(name, conv2d_depthwise_kernel<V, T, Axis>,
         dim3(static_cast<unsigned>(walk.blocks), shares), DepthwiseLanes::threads,
         sizeof(float) * static_cast<size_t>(c.R * c.S * walk.lanes * V), device, c, walk);
}

template <int V, class T>
void launch_depthwise_weight(const char* name, Cuda device, DepthwiseWeightSums<T> c, float* dw) {
  const DepthwiseLanes walk(c.C, V);
  const int taps = c.R * c.S;
  const int64_t groups = (taps + c.taps_at_once - 1) / c.taps_at_once;
  // As in column_sums.cuh, but that 512 blocks find room, two on a multiprocessor.
  const int64_t useful = std::max<int64_t>(512 / (walk.blocks * groups), 1);
  int64_t chunks = std::clamp<int64_t>(c.pixels / (walk.lines * 4), 1, useful);
  chunks = std::max(chunks,
                    std::min<int64_t>((c.pixels + walk.lines * 64 - 1) / (walk.lines * 64), 65535));
  c.pixels_a_chunk = static_cast<int>((c.pixels + chunks - 1) / chunks);
  float* const partial = scratch<float>(device, chunks * taps * c.C);
  launch(name, conv2d_depthwise_weight_kernel<V, T>,
         dim3(static_cast<unsigned>(walk.blocks), static_cast<unsigned>(chunks),
              static_cast<unsigned>(groups)),
         DepthwiseLanes::threads, 0, device, c, walk, partial);
  add_chunks<1>(name, device, {.columns = taps * c.C}, chunks, std::as_const(partial),
                DepthwiseWeightGradient{dw, Divider(c.C), taps});
}

/// By vectors where channels come in whole ones and all arrays allow it.
template <class T, class Axis>
void run_depthwise(const char* name, Cuda device, DepthwiseConvolution<T, Axis> c, int64_t N) {
  if (N * c.rows * c.columns * c.C == 0) return;
  const int64_t strips = (c.columns + c.strip - 1) / c.strip;
  c.by_strips = Divider(strips);
  c.by_rows = Divider(c.rows);
  c.by_taps = Divider(c.R * c.S);
  c.strips = number(N * c.rows * strips);
  constexpr int V = in_16_bytes<T>;
  if (c.C % V == 0 && in_vectors(c.from, c.to, c.addend)) {
    launch_depthwise<V>(name, device, c);
  } else {
    launch_depthwise<1>(name, device, c);
  }
}

DepthwiseForwardAxis down(const Conv2dShape& s) {
  return {number(s.H), number(s.stride_h), number(s.dilation_h), number(s.pad_top)};
}
DepthwiseForwardAxis across(const Conv2dShape& s) {
  return {number(s.W), number(s.stride_w), number(s.dilation_w), number(s.pad_left)};
}

}  // namespace

template <class T>
void conv2d_forward_depthwise(Cuda device, const Conv2dShape& s, const T* x, const T* w,
                              const float* bias, Epilogue epilogue, T* y, const T* addend) {
  run_depthwise<T, DepthwiseForwardAxis>("conv2d_forward", device,
                                         {.from = x,
                                          .w = w,
                                          .bias = bias,
                                          .addend = addend,
                                          .epilogue = epilogue,
                                          .to = y,
                                          .down = down(s),
                                          .across = across(s),
                                          .rows = number(s.P),
                                          .columns = number(s.Q),
                                          .C = number(s.C),
                                          .R = number(s.R),
                                          .S = number(s.S)},
                                         s.N);
}

template <class T>
void conv2d_backward_input_depthwise(Cuda device, const Conv2dShape& s, const T* dy, const T* w,
                                     T* dx, const T* addend) {
  run_depthwise<T, DepthwiseBackwardAxis>(
      "conv2d_backward_input", device,
      {.from = dy,
       .w = w,
       .bias = nullptr,
       .addend = addend,
       .epilogue = Epilogue::linear,
       .to = dx,
       .down = {number(s.P), Divider(s.stride_h), number(s.dilation_h), number(s.pad_top)},
       .across = {number(s.Q), Divider(s.stride_w), number(s.dilation_w), number(s.pad_left)},
       .rows = number(s.H),
       .columns = number(s.W),
       .C = number(s.C),
       .R = number(s.R),
       .S = number(s.S)},
      s.N);
}

template <class T>
void conv2d_backward_weight_depthwise(Cuda device, const Conv2dShape& s, const T* dy, const T* x,
                                      float* dw) {
  constexpr const char* name = "conv2d_backward_weight";
  if (s.C * s.R * s.S == 0) return;
  const DepthwiseWeightSums<T> c = {.dy = dy,
                                    .x = x,
                                    .down = down(s),
                                    .across = across(s),
                                    .C = number(s.C),
                                    .R = number(s.R),
                                    .S = number(s.S),
                                    .by_Q = Divider(std::max<int64_t>(s.Q, 1)),
                                    .by_P = Divider(std::max<int64_t>(s.P, 1)),
                                    .by_S = Divider(s.S),
                                    .pixels = number(s.N * s.P * s.Q)};
  constexpr int V = in_16_bytes<T>;
  if (s.C % V == 0 && in_vectors(dy, x)) {
    launch_depthwise_weight<V>(name, device, c, dw);
  } else {
    launch_depthwise_weight<1>(name, device, c, dw);
  }
}

#define FETTLE_DEPTHWISE(T)                                                                       \
  template void conv2d_forward_depthwise(Cuda, const Conv2dShape&, const T*, const T*,            \
                                         const float*, Epilogue, T*, const T*);                   \
  template void conv2d_backward_input_depthwise(Cuda, const Conv2dShape&, const T*, const T*, T*, \
                                                const T*);                                        \
  template void conv2d_backward_weight_depthwise(Cuda, const Conv2dShape&, const T*, const T*,    \
                                                 float*)
FETTLE_DEPTHWISE(float);
FETTLE_DEPTHWISE(bf16);
#undef FETTLE_DEPTHWISE

}  // namespace fettle
