#include "kernels/conv2d/1_direct.cuh"
#include "kernels/conv2d/2_tiled.cuh"
#include "kernels/conv2d/3_implicit_gemm.cuh"
#include "kernels/conv2d/4_tensor_core.cuh"
#include "kernels/conv2d/cuda_bf16.h"
#include "kernels/conv2d/plan_table.h"
#include "kernels/conv2d/quickest_plan.cuh"
#include "kernels/conv2d/splits.cuh"

namespace fettle {
namespace {

bool aligned(const void* p) {
  return reinterpret_cast<uintptr_t>(p) % 16 == 0;
}

/// Whether 16-byte copies can be made of all operands: four channels are never parted.
bool in_fours(const Conv2dShape& s, const float* a, const float* b) {
  return s.C / s.groups % 4 == 0 && s.K / s.groups % 4 == 0 && aligned(a) && aligned(b);
}

template <class T, int V, class A, class B>
void launch_implicit_gemm(const char* name, dim3 grid, Cuda device, const Gemm<A, B>& gemm) {
  launch(name, conv2d_implicit_gemm_kernel<A, B, T, V>, grid, gemm_threads,
         sizeof(ImplicitGemmShared<A, B, T>), device, gemm);
}

template <class T, int V, class A, class B>
void launch_tensor_core(const char* name, dim3 grid, Cuda device, const Gemm<A, B>& gemm) {
  launch(name, conv2d_tensor_core_kernel<A, B, T, V>, grid, T::threads,
         sizeof(TensorCoreShared<A, B, T>), device, gemm);
}

template <Precision P, class A, class B>
void launch_tensor_core(const char* name, dim3 grid, Cuda device, const Gemm<A, B>& gemm,
                        bool wide_tile, bool fours) {
  if (wide_tile) {
    launch_tensor_core<TensorCoreTiling<128, 64, P>, 4>(name, grid, device, gemm);
  } else if (fours) {
    launch_tensor_core<TensorCoreTiling<64, 32, P>, 4>(name, grid, device, gemm);
  } else {
    launch_tensor_core<TensorCoreTiling<64, 32, P>, 1>(name, grid, device, gemm);
  }
}

/// Rungs 2 to 4. `outputs` is the size of the whole result.
template <class A, class B>
void run_gemm(const char* name, const Conv2dPlan& plan, Cuda device, const Gemm<A, B>& whole,
              int64_t outputs, bool fours) {
  const bool wide_tile = plan.tile > 0 && fours;
  const int tile_m = plan.rung == Conv2dRung::tiled ? tiled_edge : wide_tile ? 128 : 64;
  const int tile_n = plan.rung == Conv2dRung::tiled ? tiled_edge : wide_tile ? 64 : 32;
  in_splits(name, plan.splits, 16, device, whole, outputs, 1, 1, [&](const Gemm<A, B>& gemm) {
    const dim3 grid(blocks_for(gemm.M, tile_m), blocks_for(gemm.N, tile_n),
                    static_cast<unsigned>(gemm.groups * gemm.splits));
    if (plan.rung == Conv2dRung::tiled) {
      launch(name, conv2d_tiled_kernel<A, B>, grid, dim3(tiled_edge, tiled_edge), 0, device, gemm);
    } else if (plan.rung == Conv2dRung::implicit_gemm) {
      if (wide_tile) {
        launch_implicit_gemm<ImplicitGemmTiling<128, 64>, 4>(name, grid, device, gemm);
      } else if (fours) {
        launch_implicit_gemm<ImplicitGemmTiling<64, 32>, 4>(name, grid, device, gemm);
      } else {
        launch_implicit_gemm<ImplicitGemmTiling<64, 32>, 1>(name, grid, device, gemm);
      }
    } else if (plan.precision == Precision::tf32) {
      launch_tensor_core<Precision::tf32>(name, grid, device, gemm, wide_tile, fours);
    } else {
      launch_tensor_core<Precision::bf16>(name, grid, device, gemm, wide_tile, fours);
    }
  });
}

bool has_bf16_operands(const Conv2dPlan& plan) {
  return plan.rung >= Conv2dRung::multistage;
}

/// The plan of the table, or plan_conv2d's; with tuning on, the quickest of those that
/// run(plan) computes the convolution with.
template <class Run>
Conv2dPlan planned(Conv2dDirection direction, const Conv2dShape& shape, Cuda device,
                   const Run& run) {
  const Precision precision = gpu_precision();
  if (const auto known = known_conv2d_plan(direction, shape, precision)) return *known;
  const GpuInfo gpu = gpu_info();
  const Conv2dPlan chosen =
      plan_conv2d(direction, shape, gpu.compute_capability, gpu.multiprocessors, precision);
  if (!conv2d_tuning()) return chosen;
  const Conv2dPlan best = quickest_plan(
      conv2d_plans_to_time(direction, shape, precision, chosen, gpu.compute_capability), device,
      run);
  set_known_conv2d_plan(direction, shape, precision, best);
  return best;
}

}  // namespace

void conv2d_forward(Cuda device, const Conv2dPlan& plan, const Conv2dShape& s, const float* x,
                    const float* w, const float* bias, Epilogue epilogue, float* y) {
  if (has_bf16_operands(plan)) {
    return conv2d_forward_bf16(device, plan, s, x, w, bias, epilogue, y);
  }
  const int64_t outputs = s.N * s.P * s.Q * s.K;
  if (plan.rung == Conv2dRung::direct) {
    launch("conv2d_forward", conv2d_forward_direct_kernel, strided_blocks(outputs, direct_threads),
           direct_threads, 0, device, s, x, w, bias, epilogue, y);
    return;
  }
  const GemmShape g(s);
  const Gemm<WindowsOfInput<float>, Weights<float>> gemm = {
      {g, x}, {g, w},           {y, g.Kg, 0, g.K, bias, epilogue}, g.N * g.P * g.Q,
      g.Kg,   g.R * g.S * g.Cg, static_cast<int>(s.groups),        1,
      0};
  run_gemm("conv2d_forward", plan, device, gemm, outputs, in_fours(s, x, w));
}

void conv2d_backward_input(Cuda device, const Conv2dPlan& plan, const Conv2dShape& s,
                           const float* dy, const float* w, float* dx) {
  if (has_bf16_operands(plan)) {
    return conv2d_backward_input_bf16(device, plan, s, dy, w, dx);
  }
  const int64_t outputs = s.N * s.H * s.W * s.C;
  if (plan.rung == Conv2dRung::direct) {
    launch("conv2d_backward_input", conv2d_backward_input_direct_kernel,
           strided_blocks(outputs, direct_threads), direct_threads, 0, device, s, dy, w, dx);
    return;
  }
  const GemmShape g(s);
  const Gemm<OutputsOverInput<float>, WeightsTransposed<float>> gemm = {
      {g, dy},
      {g, w},
      {dx, g.Cg, 0, g.C, nullptr, Epilogue::linear},
      g.N * g.H * g.W,
      g.Cg,
      g.R * g.S * g.Kg,
      static_cast<int>(s.groups),
      1,
      0};
  run_gemm("conv2d_backward_input", plan, device, gemm, outputs, in_fours(s, dy, w));
}

void conv2d_backward_weight(Cuda device, const Conv2dPlan& plan, const Conv2dShape& s,
                            const float* dy, const float* x, float* dw) {
  if (has_bf16_operands(plan)) {
    return conv2d_backward_weight_bf16(device, plan, s, dy, x, dw);
  }
  const int64_t Cg = s.C / s.groups, outputs = s.K * s.R * s.S * Cg;
  if (plan.rung == Conv2dRung::direct) {
    launch("conv2d_backward_weight", conv2d_backward_weight_direct_kernel,
           strided_blocks(outputs, direct_threads), direct_threads, 0, device, s, dy, x, dw);
    return;
  }
  const GemmShape g(s);
  const int taps = g.R * g.S * g.Cg;
  const Gemm<Outputs<float>, InputUnderTaps<float>> gemm = {
      {g, dy},
      {g, x},
      {dw, int64_t{g.Kg} * taps, 0, taps, nullptr, Epilogue::linear},
      g.Kg,
      taps,
      g.N * g.P * g.Q,
      static_cast<int>(s.groups),
      1,
      0};
  run_gemm("conv2d_backward_weight", plan, device, gemm, outputs, in_fours(s, dy, x));
}

void conv2d_forward(Cuda device, const Conv2dShape& shape, const float* x, const float* w,
                    const float* bias, Epilogue epilogue, float* y) {
  const auto run = [&](const Conv2dPlan& plan) {
    conv2d_forward(device, plan, shape, x, w, bias, epilogue, y);
  };
  run(planned(Conv2dDirection::forward, shape, device, run));
}
void conv2d_backward_input(Cuda device, const Conv2dShape& shape, const float* dy, const float* w,
                           float* dx) {
  const auto run = [&](const Conv2dPlan& plan) {
    conv2d_backward_input(device, plan, shape, dy, w, dx);
  };
  run(planned(Conv2dDirection::backward_input, shape, device, run));
}
void conv2d_backward_weight(Cuda device, const Conv2dShape& shape, const float* dy, const float* x,
                            float* dw) {
  const auto run = [&](const Conv2dPlan& plan) {
    conv2d_backward_weight(device, plan, shape, dy, x, dw);
  };
  run(planned(Conv2dDirection::backward_weight, shape, device, run));
}

}  // namespace fettle
