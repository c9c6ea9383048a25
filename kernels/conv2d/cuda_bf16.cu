#include "kernels/conv2d/cuda_bf16.h"

#include <algorithm>

#include "kernels/conv2d/5_multistage.cuh"
#include "kernels/conv2d/bf16_operands.cuh"
#include "kernels/conv2d/cuda_patch.h"
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
  if (plan.rung == Conv2dRung::patch) {
    return conv2d_forward_patch(name, device, s, x16, w16, out);
  }
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
    return conv2d_backward_input_patch(name, device, s, dy16, w16, out);
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
