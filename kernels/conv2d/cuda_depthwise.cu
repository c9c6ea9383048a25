#include "kernels/conv2d/cuda_depthwise.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "kernels/conv2d/depthwise_any.cuh"
#include "kernels/divide.h"

namespace fettle {
namespace {

int number(int64_t n) {
  return static_cast<int>(n);
}

/// Whether 8_depthwise.cuh has a walk for it.
template <class... T>
bool has_walk(const Conv2dShape& s, const T*... arrays) {
  return s.R == 3 && s.S == 3 && s.stride_h == s.stride_w && s.stride_h <= 2 && s.dilation_h == 1 &&
         s.dilation_w == 1 && s.C % 4 == 0 && in_vectors(arrays...);
}

/// Cuts strips so that `blocks` of them are done soonest if every step takes as long: there are
/// Steps::lead before a walk's first output, and its first row is waited for, about two more.
template <int In, int Out>
DepthwiseParts parts_of(int64_t N, const DepthwiseAxis& down, const DepthwiseAxis& across,
                        int lines, int64_t blocks) {
  using Steps = DepthwiseSteps<In, Out>;
  const int64_t strips = blocks_for(across.to_extent - across.to_first, Steps::strip);
  DepthwiseParts best = {};
  best.by_strips = Divider(strips);
  best.steps = number(blocks_for(down.to_extent - down.to_first, Out));
  int64_t least = std::numeric_limits<int64_t>::max();
  for (int64_t wanted = 1; wanted <= std::min(best.steps, 32); ++wanted) {
    const int64_t steps = ceil_div(best.steps, wanted);
    const int64_t parts = ceil_div(best.steps, steps), walks = N * strips * parts;
    const int64_t shares =
        std::min<int64_t>(std::max<int64_t>(blocks, 1), blocks_for(walks, lines));
    const int64_t turns = blocks_for(walks, shares * lines);
    const int64_t time = turns * (steps + Steps::lead + 2);
    if (time >= least) continue;
    least = time;
    best.by_parts = Divider(parts);
    best.steps_a_part = number(steps);
    best.walks = number(walks);
    best.shares = number(shares);
  }
  return best;
}

template <int In, int Out, class T>
void launch_walk(const char* name, Cuda device, DepthwiseWalk<T> c, int64_t N) {
  if (N * c.down.to_extent * c.across.to_extent == 0) return;
  const DepthwiseLanes block(c.C / c.V, c.threads);
  c.parts = parts_of<In, Out>(N, c.down, c.across, block.lines,
                              gpu_info().multiprocessors * c.blocks_at_once(In) / block.blocks);
  launch(name, conv2d_depthwise_walk_kernel<In, Out, T>,
         dim3(static_cast<unsigned>(block.blocks), static_cast<unsigned>(c.parts.shares)),
         c.threads, 0, device, c, block);
}

template <int Stride, class T>
void launch_weight_walk(const char* name, Cuda device, DepthwiseWeightWalk<T> c, int64_t N,
                        float* dw) {
  const DepthwiseLanes block(c.C / c.V, c.threads);
  // What an H200 has room for at once, and on every GPU, so that the sums have the same bits.
  c.parts =
      parts_of<Stride, 1>(N, c.down, c.across, block.lines, 132 * c.blocks_at_once / block.blocks);
  float* const partial = scratch<float>(device, int64_t{c.parts.shares} * 9 * c.C);
  launch(name, conv2d_depthwise_weight_walk_kernel<Stride, T>,
         dim3(static_cast<unsigned>(block.blocks), static_cast<unsigned>(c.parts.shares)),
         c.threads, 0, device, c, block, partial);
  add_chunks<1>(name, device, {.columns = 9 * c.C}, c.parts.shares, std::as_const(partial),
                DepthwiseWeightGradient{dw, Divider(c.C), 9});
}

template <int V, class T, class Axis>
void launch_depthwise(const char* name, Cuda device, const DepthwiseConvolution<T, Axis>& c) {
  const DepthwiseLanes walk(c.C / V, c.threads);
  const int64_t at_once = gpu_info().multiprocessors * int64_t{8};
  const auto shares = static_cast<unsigned>(
      std::clamp<int64_t>(at_once / walk.blocks, 1, (c.strips + walk.lines - 1) / walk.lines));
  launch(name, conv2d_depthwise_kernel<V, T, Axis>,
         dim3(static_cast<unsigned>(walk.blocks), shares), c.threads,
         sizeof(float) * static_cast<size_t>(c.R * c.S * walk.lanes * V), device, c, walk);
}

template <int V, class T>
void launch_depthwise_weight(const char* name, Cuda device, DepthwiseWeightSums<T> c, float* dw) {
  const DepthwiseLanes walk(c.C / V, c.threads);
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
         c.threads, 0, device, c, walk, partial);
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

DepthwiseAxis forward_axis(int64_t in, int64_t out, int64_t pad) {
  return {.from_first = number(-pad),
          .from_extent = number(in),
          .to_first = 0,
          .to_extent = number(out)};
}
/// A step begins where x under the first tap of a place of dy begins, be it in the pad.
DepthwiseAxis backward_axis(int64_t in, int64_t out, int64_t pad, int64_t stride) {
  const int halo = stride == 2 ? DepthwiseSteps<1, 2>::halo : DepthwiseSteps<1, 1>::halo;
  return {.from_first = number(pad / stride) - halo,
          .from_extent = number(in),
          .to_first = number(-(pad % stride)),
          .to_extent = number(out)};
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
  if (has_walk(s, x, bias, y, addend)) {
    const DepthwiseWalk<T> c = {.from = x,
                                .w = w,
                                .turned = false,
                                .bias = bias,
                                .addend = addend,
                                .epilogue = epilogue,
                                .to = y,
                                .down = forward_axis(s.H, s.P, s.pad_top),
                                .across = forward_axis(s.W, s.Q, s.pad_left),
                                .C = number(s.C)};
    return s.stride_h == 2 ? launch_walk<2, 1>("conv2d_forward", device, c, s.N)
                           : launch_walk<1, 1>("conv2d_forward", device, c, s.N);
  }
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
  if (has_walk(s, dy, dx, addend)) {
    const DepthwiseWalk<T> c = {.from = dy,
                                .w = w,
                                .turned = true,
                                .bias = nullptr,
                                .addend = addend,
                                .epilogue = Epilogue::linear,
                                .to = dx,
                                .down = backward_axis(s.P, s.H, s.pad_top, s.stride_h),
                                .across = backward_axis(s.Q, s.W, s.pad_left, s.stride_w),
                                .C = number(s.C)};
    return s.stride_h == 2 ? launch_walk<1, 2>("conv2d_backward_input", device, c, s.N)
                           : launch_walk<1, 1>("conv2d_backward_input", device, c, s.N);
  }
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
  if (s.N * s.P * s.Q > 0 && has_walk(s, x, dy)) {
    const DepthwiseWeightWalk<T> c = {.x = x,
                                      .dy = dy,
                                      .down = forward_axis(s.H, s.P, s.pad_top),
                                      .across = forward_axis(s.W, s.Q, s.pad_left),
                                      .C = number(s.C)};
    return s.stride_h == 2 ? launch_weight_walk<2>(name, device, c, s.N, dw)
                           : launch_weight_walk<1>(name, device, c, s.N, dw);
  }
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
