#include "kernels/conv2d/cuda_bf16.h"

#include <algorithm>

#include "kernels/conv2d/5_multistage.cuh"
#include "kernels/conv2d/7_patch.cuh"
#include "kernels/conv2d/bf16_operands.cuh"
#include "kernels/conv2d/cuda_wgmma.h"
#include "kernels/conv2d/splits.cuh"

namespace fettle {
namespace {

template <class T, class A, class B>
void launch_multistage(const char* name, Cuda device, const Gemm<A, B>& gemm) {
  launch(name, conv2d_multistage_kernel<A, B, T>, grid_of(gemm, T::M, T::N), T::threads,
         sizeof(MultistageShared<A, B, T>), device, gemm);
}

template <class A, class B>
void run_multistage(const char* name, const Conv2dPlan& plan, Cuda device, const Gemm<A, B>& gemm,
                    int64_t outputs, int64_t channels = 8) {
  in_splits(name, plan.splits, 32, device, gemm, outputs, static_cast<int>(channels),
            static_cast<int>(round_up_8(channels)), [&](const Gemm<A, B>& part) {
              constexpr bool rows_are_channels = !A::along_k;  // backward weight
              if (plan.tile == 0) {
                launch_multistage<MultistageTiling<64, 64, 2, 2>>(name, device, part);
              } else if (plan.tile == 1) {
                launch_multistage<MultistageTiling<128, 128, 2, 4>>(name, device, part);
              } else if constexpr (rows_are_channels) {
                plan.tile == 2
                    ? launch_multistage<MultistageTiling<16, 128, 1, 4>>(name, device, part)
                    : launch_multistage<MultistageTiling<32, 128, 1, 4>>(name, device, part);
              } else {
                plan.tile == 2
                    ? launch_multistage<MultistageTiling<256, 16, 4, 1>>(name, device, part)
                    : launch_multistage<MultistageTiling<128, 32, 4, 1>>(name, device, part);
              }
            });
}

/// Rung 7: the convolution `s` of `in`, or backward input seen as one.
void run_patches(const char* name, Cuda device, const Conv2dShape& s, bool turned, const bf16* in,
                 const bf16* w, const GemmOutput& out) {
  if (s.N * s.P * s.Q * s.K == 0) return;
  const auto run = [&](auto tiling) {
    using T = decltype(tiling);
    const Conv2dShape eights = in_eights(s);
    const auto number = [](int64_t n) { return static_cast<int>(n); };
    const int64_t across = (s.Q + T::columns - 1) / T::columns,
                  down = (s.P + T::rows - 1) / T::rows;
    const PatchConvolution c = {.in = in,
                                .w = w,
                                .out = out,
                                .H = number(s.H),
                                .W = number(s.W),
                                .C = number(eights.C),
                                .P = number(s.P),
                                .Q = number(s.Q),
                                .K = number(s.K),
                                .R = number(s.R),
                                .S = number(s.S),
                                .pad_top = number(s.pad_top),
                                .pad_left = number(s.pad_left),
                                .turned = turned,
                                .line = number(turned ? eights.K : eights.C),
                                .by_width = Divider(T::columns + s.S - 1),
                                .across = Divider(across),
                                .down = Divider(down),
                                .patches = number(s.N * across * down)};
    launch(name, conv2d_patch_kernel<T>,
           static_cast<unsigned>(std::min(c.patches, gpu_info().multiprocessors * T::blocks)),
           T::threads, sizeof(PatchShared<T>), device, c);
  };
  if (s.C <= 16) {
    s.K <= 16 ? run(PatchTiling<1, 2>{}) : run(PatchTiling<1, 4>{});
  } else {
    s.K <= 16 ? run(PatchTiling<2, 2>{}) : run(PatchTiling<2, 4>{});
  }
}

}  // namespace

void conv2d_forward_bf16(Cuda device, const Conv2dPlan& plan, const Conv2dShape& shape,
                         const bf16* x, const bf16* w, const float* bias, Epilogue epilogue,
                         bf16* y, const bf16* addend, double* moments) {
  constexpr const char* name = "conv2d_forward";
  const auto [s, x16] = input_of_windows(name, device, 1, shape, x);
  const GemmShape g(in_eights(s));
  const bf16* w16 = padded_filters(name, device, 2, w, s);
  const int Kg = static_cast<int>(s.K / s.groups);
  GemmOutput out = GemmOutput::to(y, s.K, Kg);
  out.bias = bias;
  out.epilogue = epilogue;
  out.add(addend);
  if (plan.rung == Conv2dRung::wgmma) {
    return conv2d_forward_wgmma({name, device, plan, s, x16, w16, out, moments});
  }
  if (plan.rung == Conv2dRung::patch) return run_patches(name, device, s, false, x16, w16, out);
  const Gemm<WindowsOfInput<bf16>, Weights<bf16>> gemm = {
      {g, x16}, {g, w16}, out, g.N * g.P * g.Q, Kg, g.R * g.S * g.Cg, static_cast<int>(s.groups),
      1,        0};
  run_multistage(name, plan, device, gemm, s.N * s.P * s.Q * s.K);
}

void conv2d_backward_input_bf16(Cuda device, const Conv2dPlan& plan, const Conv2dShape& s,
                                const bf16* dy, const bf16* w, bf16* dx, const bf16* addend) {
  constexpr const char* name = "conv2d_backward_input";
  const GemmShape g(in_eights(s));
  const bf16* dy16 = padded_pixels(name, device, 1, dy, s.N * s.P * s.Q, s.K, s.groups);
  const bf16* w16 = padded_filters(name, device, 2, w, s);
  const int Cg = static_cast<int>(s.C / s.groups);
  GemmOutput out = GemmOutput::to(dx, s.C, Cg);
  out.add(addend);
  if (plan.rung == Conv2dRung::wgmma) {
    return conv2d_backward_input_wgmma({name, device, plan, s, dy16, w16, out});
  }
  if (plan.rung == Conv2dRung::patch) {
    Conv2dShape of_dy = s;
    std::swap(of_dy.H, of_dy.P);
    std::swap(of_dy.W, of_dy.Q);
    std::swap(of_dy.C, of_dy.K);
    of_dy.pad_top = s.R - 1 - s.pad_top;
    of_dy.pad_left = s.S - 1 - s.pad_left;
    return run_patches(name, device, of_dy, true, dy16, w16, out);
  }
  const InputPhases phases(s);
  const Gemm<OutputsOverInput<bf16>, WeightsTransposed<bf16>> gemm = {
      {g, phases, dy16},
      {g, phases, w16},
      out,
      g.N * phases.h.pixels * phases.w.pixels,
      Cg,
      phases.h.taps * phases.w.taps * g.Kg,
      static_cast<int>(s.groups * phases.count()),
      1,
      0};
  run_multistage(name, plan, device, gemm, s.N * s.H * s.W * s.C);
}

void conv2d_backward_weight_bf16(Cuda device, const Conv2dPlan& plan, const Conv2dShape& shape,
                                 const bf16* dy, const bf16* x, float* dw) {
  constexpr const char* name = "conv2d_backward_weight";
  const auto [s, x16] = input_of_windows(name, device, 2, shape, x);
  const GemmShape g(in_eights(s));
  const bf16* dy16 = padded_pixels(name, device, 1, dy, s.N * s.P * s.Q, s.K, s.groups);
  if (plan.rung == Conv2dRung::wgmma) {
    return conv2d_backward_weight_wgmma(
        {name, device, plan, s, dy16, x16, GemmOutput::to(dw, s.R * s.S * s.C, s.C)});
  }
  const int Kg = static_cast<int>(s.K / s.groups), taps = g.R * g.S * g.Cg;
  const Gemm<Outputs<bf16>, InputUnderTaps<bf16>> gemm = {
      {g, dy16},
      {g, x16},
      GemmOutput::to(dw, taps, int64_t{Kg} * taps),
      Kg,
      taps,
      g.N * g.P * g.Q,
      static_cast<int>(s.groups),
      1,
      0};
  run_multistage(name, plan, device, gemm, s.K * s.R * s.S * (s.C / s.groups), s.C / s.groups);
}

}  // namespace fettle
