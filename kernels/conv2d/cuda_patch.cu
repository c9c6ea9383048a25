#include "kernels/conv2d/cuda_patch.h"

#include <algorithm>
#include <utility>

#include "kernels/conv2d/7_patch.cuh"
#include "kernels/conv2d/bf16_operands.cuh"
#include "kernels/divide.h"

namespace fettle {
namespace {

/// The convolution `s` of `in`, or backward input seen as one.
template <class E>
void run_patches(const char* name, Cuda device, const Conv2dShape& s, bool turned, const E* in,
                 const E* w, const GemmOutput& out) {
  if (s.N * s.P * s.Q * s.K == 0) return;
  const auto run = [&](auto tiling) {
    using T = decltype(tiling);
    const Conv2dShape stored = sizeof(E) == 2 ? in_eights(s) : s;
    const auto number = [](int64_t n) { return static_cast<int>(n); };
    const int64_t across = ceil_div(s.Q, T::columns), down = ceil_div(s.P, T::rows);
    const PatchConvolution<E> c = {.in = in,
                                   .w = w,
                                   .out = out,
                                   .H = number(s.H),
                                   .W = number(s.W),
                                   .C = number(stored.C),
                                   .P = number(s.P),
                                   .Q = number(s.Q),
                                   .K = number(s.K),
                                   .R = number(s.R),
                                   .S = number(s.S),
                                   .pad_top = number(s.pad_top),
                                   .pad_left = number(s.pad_left),
                                   .turned = turned,
                                   .line = number(turned ? stored.K : stored.C),
                                   .by_width = Divider(T::columns + s.S - 1),
                                   .across = Divider(across),
                                   .down = Divider(down),
                                   .patches = number(s.N * across * down)};
    launch(name, conv2d_patch_kernel<T>,
           static_cast<unsigned>(std::min(c.patches, gpu_info().multiprocessors * T::blocks)),
           T::threads, sizeof(PatchShared<T>), device, c);
  };
  if (s.C <= 16) {
    s.K <= 16 ? run(PatchTiling<E, 1, 2>{}) : run(PatchTiling<E, 1, 4>{});
  } else {
    s.K <= 16 ? run(PatchTiling<E, 2, 2>{}) : run(PatchTiling<E, 2, 4>{});
  }
}

}  // namespace

template <class E>
void conv2d_forward_patch(const char* name, Cuda device, const Conv2dShape& s, const E* x,
                          const E* w, const GemmOutput& out) {
  run_patches(name, device, s, false, x, w, out);
}

template <class E>
void conv2d_backward_input_patch(const char* name, Cuda device, const Conv2dShape& s, const E* dy,
                                 const E* w, const GemmOutput& out) {
  Conv2dShape of_dy = s;
  std::swap(of_dy.H, of_dy.P);
  std::swap(of_dy.W, of_dy.Q);
  std::swap(of_dy.C, of_dy.K);
  of_dy.pad_top = s.R - 1 - s.pad_top;
  of_dy.pad_left = s.S - 1 - s.pad_left;
  run_patches(name, device, of_dy, true, dy, w, out);
}

#define FETTLE_PATCH(E)                                                                         \
  template void conv2d_forward_patch(const char*, Cuda, const Conv2dShape&, const E*, const E*, \
                                     const GemmOutput&);                                        \
  template void conv2d_backward_input_patch(const char*, Cuda, const Conv2dShape&, const E*,    \
                                            const E*, const GemmOutput&)
FETTLE_PATCH(bf16);
FETTLE_PATCH(float);
#undef FETTLE_PATCH

}  // namespace fettle
