#include <algorithm>
#include <type_traits>

#include "kernels/batch_norm/moments.h"
#include "kernels/conv2d/1_direct.cuh"
#include "kernels/conv2d/2_tiled.cuh"
#include "kernels/conv2d/3_implicit_gemm.cuh"
#include "kernels/conv2d/4_tensor_core.cuh"
#include "kernels/conv2d/cuda_bf16.h"
#include "kernels/conv2d/cuda_depthwise.h"
#include "kernels/conv2d/cuda_patch.h"
#include "kernels/conv2d/cuda_wgmma.h"
#include "kernels/conv2d/filters_transposed.cuh"
#include "kernels/conv2d/plan_table.h"
#include "kernels/conv2d/quickest_plan.cuh"
#include "kernels/conv2d/splits.cuh"
#include "kernels/conv2d/statistics.h"
#include "kernels/conv2d/tensor_core_tiles.h"
#include "kernels/conv2d/wgmma_tiles.h"
#include "kernels/divide.h"

namespace fettle {
namespace {

/// Whether 16-byte copies can be made of all operands: four channels are never parted.
bool in_fours(const Conv2dShape& s, const float* a, const float* b) {
  return s.C / s.groups % 4 == 0 && s.K / s.groups % 4 == 0 && in_vectors(a, b);
}

template <class T, int V, class A, class B>
void launch_implicit_gemm(const char* name, Cuda device, const Gemm<A, B>& gemm) {
  launch(name, conv2d_implicit_gemm_kernel<A, B, T, V>, grid_of(gemm, T::M, T::N), gemm_threads,
         sizeof(ImplicitGemmShared<A, B, T>), device, gemm);
}

/// With copies of V channels at once.
template <int Tile, int V, class A, class B>
void launch_tensor_core(const char* name, Cuda device, const Gemm<A, B>& gemm) {
  constexpr TensorCoreTile t = tensor_core_tiles[!A::along_k][Tile];
  using T = TensorCoreTiling<t.rows, t.columns, t.warps_down, t.warps_across>;
  launch(name, conv2d_tensor_core_kernel<A, B, T, V>, grid_of(gemm, T::M, T::N), T::threads,
         sizeof(TensorCoreShared<A, B, T>), device, gemm);
}
template <int Tile = 0, class A, class B>
void run_tensor_core(const char* name, int tile, Cuda device, const Gemm<A, B>& gemm) {
  if constexpr (Tile < tensor_core_tile_count) {
    if (tile != Tile) return run_tensor_core<Tile + 1>(name, tile, device, gemm);
    launch_tensor_core<Tile, 4>(name, device, gemm);
  }
}

/// Rungs 2 to 4. `outputs` is the size of the whole result.
template <class A, class B>
void run_gemm(const char* name, const Conv2dPlan& plan, Cuda device, const Gemm<A, B>& whole,
              int64_t outputs, bool fours) {
  in_splits(name, plan.splits, 16, device, whole, outputs, 1, 1, [&](const Gemm<A, B>& gemm) {
    if (plan.rung == Conv2dRung::tiled) {
      launch(name, conv2d_tiled_kernel<A, B>, grid_of(gemm, tiled_edge, tiled_edge),
             dim3(tiled_edge, tiled_edge), 0, device, gemm);
    } else if (plan.rung == Conv2dRung::implicit_gemm) {
      if (!fours) {
        launch_implicit_gemm<ImplicitGemmTiling<64, 32>, 1>(name, device, gemm);
      } else if (plan.tile == 0) {
        launch_implicit_gemm<ImplicitGemmTiling<64, 32>, 4>(name, device, gemm);
      } else {
        launch_implicit_gemm<ImplicitGemmTiling<128, 64>, 4>(name, device, gemm);
      }
    } else if (fours) {
      run_tensor_core(name, plan.tile, device, gemm);
    } else {
      launch_tensor_core<0, 1>(name, device, gemm);
    }
  });
}

/// Rung 6 in tf32 reads the tensors as they lie, or leaves them to rung 4 where they begin between
/// two chunks of 16 bytes.
bool by_tensor_maps(const Conv2dPlan& plan, const float* a, const float* b) {
  return plan.rung == Conv2dRung::wgmma && in_vectors(a, b);
}

/// The same of rung 7.
bool by_patches(const Conv2dPlan& plan, const float* a) {
  return plan.rung == Conv2dRung::patch && in_vectors(a);
}

/// The plan of the table, or plan_conv2d's; with tuning on, the quickest of those that
/// run(plan, out) computes the convolution with, in scratch memory where `out` holds what is still
/// needed. fp32 in memory is multiplied as such or in tf32; bf16 asks for bf16.
template <class T, class Out, class Run>
Conv2dPlan planned(Conv2dDirection direction, const Conv2dShape& shape, Cuda device, Out* out,
                   bool is_needed, const Run& run) {
  const Precision precision = std::is_same_v<T, bf16>              ? Precision::bf16
                              : gpu_precision() == Precision::fp32 ? Precision::fp32
                                                                   : Precision::tf32;
  if (const auto known = known_conv2d_plan(direction, shape, precision)) return *known;
  const GpuInfo gpu = gpu_info();
  const Conv2dPlan chosen =
      plan_conv2d(direction, shape, gpu.compute_capability, gpu.multiprocessors, precision);
  if (!conv2d_tuning()) return chosen;
  const int64_t most = shape.N * std::max(shape.P * shape.Q * shape.K, shape.H * shape.W * shape.C);
  Out* const to = is_needed ? scratch<Out>(device, most, 3) : out;
  const Conv2dPlan best = quickest_plan(
      conv2d_plans_to_time(direction, shape, precision, chosen, gpu.compute_capability), device,
      [&](const Conv2dPlan& plan) { run(plan, to); });
  set_known_conv2d_plan(direction, shape, precision, best);
  return best;
}

/// Rung 6 writes `moments`, if it is not nullptr, as in cuda_wgmma.h.
template <class T>
void forward(Cuda device, const Conv2dPlan& plan, const Conv2dShape& s, const T* x, const T* w,
             const float* bias, Epilogue epilogue, T* y, const T* addend, double* moments) {
  const int64_t outputs = s.N * s.P * s.Q * s.K;
  if (plan.rung == Conv2dRung::direct) {
    launch("conv2d_forward", conv2d_forward_direct_kernel<T>,
           strided_blocks(outputs, direct_threads), direct_threads, 0, device, s, x, w, bias,
           addend, epilogue, y);
  } else if (plan.rung == Conv2dRung::depthwise) {
    conv2d_forward_depthwise(device, s, x, w, bias, epilogue, y, addend);
  } else if constexpr (std::is_same_v<T, bf16>) {
    conv2d_forward_bf16(device, plan, s, x, w, bias, epilogue, y, addend, moments);
  } else {
    const GemmShape g(s);
    GemmOutput out = GemmOutput::to(y, g.K, g.Kg);
    out.bias = bias;
    out.epilogue = epilogue;
    out.add(addend);
    if (by_tensor_maps(plan, x, w)) {
      return conv2d_forward_wgmma({"conv2d_forward", device, plan, s, x, w, out, moments});
    }
    if (by_patches(plan, x)) return conv2d_forward_patch("conv2d_forward", device, s, x, w, out);
    const Gemm<WindowsOfInput<float>, Weights<float>> gemm = {
        {g, x}, {g, w}, out, g.N * g.P * g.Q, g.Kg, g.R * g.S * g.Cg, static_cast<int>(s.groups),
        1,      0};
    run_gemm("conv2d_forward", plan, device, gemm, outputs, in_fours(s, x, w));
  }
}

}  // namespace

template <class T>
void conv2d_forward(Cuda device, const Conv2dPlan& plan, const Conv2dShape& s, const T* x,
                    const T* w, const float* bias, Epilogue epilogue, T* y, const T* addend) {
  forward(device, plan, s, x, w, bias, epilogue, y, addend, nullptr);
}

template <class T>
void conv2d_forward_statistics(Cuda device, const Conv2dPlan& plan, const Conv2dShape& s,
                               const T* x, const T* w, const float* bias, T* y, float* mean,
                               float* variance, const BatchNormMoving& moving) {
  const BatchNormShape pixels = {s.N * s.P * s.Q, s.K};
  const bool by_tiles = plan.rung == Conv2dRung::wgmma && plan.splits == 1 &&
                        (std::is_same_v<T, bf16> || in_vectors(x, w));
  if (!by_tiles) {
    forward<T>(device, plan, s, x, w, bias, Epilogue::linear, y, nullptr, nullptr);
    return batch_norm_statistics(device, pixels, y, mean, variance, moving);
  }
  const int64_t rows = wgmma_tiles[plan.tile].rows, parts = ceil_div(pixels.rows, rows);
  double* const moments = scratch<double>(device, parts * 2 * s.K);
  forward<T>(device, plan, s, x, w, bias, Epilogue::linear, y, nullptr, moments);
  batch_norm_statistics(device, pixels, moments, parts, mean, variance, moving);
}

template <class T>
void conv2d_backward_input(Cuda device, const Conv2dPlan& plan, const Conv2dShape& s, const T* dy,
                           const T* w, T* dx, const T* addend) {
  const int64_t outputs = s.N * s.H * s.W * s.C;
  if (plan.rung == Conv2dRung::direct) {
    launch("conv2d_backward_input", conv2d_backward_input_direct_kernel<T>,
           strided_blocks(outputs, direct_threads), direct_threads, 0, device, s, dy, w, addend,
           dx);
  } else if (plan.rung == Conv2dRung::depthwise) {
    conv2d_backward_input_depthwise(device, s, dy, w, dx, addend);
  } else if constexpr (std::is_same_v<T, bf16>) {
    conv2d_backward_input_bf16(device, plan, s, dy, w, dx, addend);
  } else {
    const GemmShape g(s);
    const InputPhases phases(s);
    GemmOutput out = GemmOutput::to(dx, g.C, g.Cg);
    out.add(addend);
    constexpr const char* name = "conv2d_backward_input";
    if (by_patches(plan, dy)) return conv2d_backward_input_patch(name, device, s, dy, w, out);
    if (by_tensor_maps(plan, dy, dy)) {
      return conv2d_backward_input_wgmma(
          {name, device, plan, s, dy, transposed_filters(name, device, 1, w, s), out});
    }
    const Gemm<OutputsOverInput<float>, WeightsTransposed<float>> gemm = {
        {g, phases, dy},
        {g, phases, w},
        out,
        g.N * phases.h.pixels * phases.w.pixels,
        g.Cg,
        phases.h.taps * phases.w.taps * g.Kg,
        static_cast<int>(s.groups * phases.count()),
        1,
        0};
    run_gemm(name, plan, device, gemm, outputs, in_fours(s, dy, w));
  }
}

template <class T>
void conv2d_backward_weight(Cuda device, const Conv2dPlan& plan, const Conv2dShape& s, const T* dy,
                            const T* x, float* dw) {
  const int64_t Cg = s.C / s.groups, outputs = s.K * s.R * s.S * Cg;
  if (plan.rung == Conv2dRung::direct) {
    launch("conv2d_backward_weight", conv2d_backward_weight_direct_kernel<T>,
           strided_blocks(outputs, direct_threads), direct_threads, 0, device, s, dy, x, dw);
  } else if (plan.rung == Conv2dRung::depthwise) {
    conv2d_backward_weight_depthwise(device, s, dy, x, dw);
  } else if constexpr (std::is_same_v<T, bf16>) {
    conv2d_backward_weight_bf16(device, plan, s, dy, x, dw);
  } else {
    constexpr const char* name = "conv2d_backward_weight";
    if (by_tensor_maps(plan, dy, x)) {
      return conv2d_backward_weight_wgmma(
          {name, device, plan, s, dy, x, GemmOutput::to(dw, s.R * s.S * s.C, s.C)});
    }
    const GemmShape g(s);
    const int taps = g.R * g.S * g.Cg;
    const Gemm<Outputs<float>, InputUnderTaps<float>> gemm = {
        {g, dy},
        {g, x},
        GemmOutput::to(dw, taps, int64_t{g.Kg} * taps),
        g.Kg,
        taps,
        g.N * g.P * g.Q,
        static_cast<int>(s.groups),
        1,
        0};
    run_gemm(name, plan, device, gemm, outputs, in_fours(s, dy, x));
  }
}

template <class T>
void conv2d_forward(Cuda device, const Conv2dShape& shape, const T* x, const T* w,
                    const float* bias, Epilogue epilogue, T* y, const T* addend) {
  const auto run = [&](const Conv2dPlan& plan, T* out) {
    conv2d_forward(device, plan, shape, x, w, bias, epilogue, out, addend);
  };
  run(planned<T>(Conv2dDirection::forward, shape, device, y, addend == y, run), y);
}
template <class T>
void conv2d_forward_statistics(Cuda device, const Conv2dShape& shape, const T* x, const T* w,
                               const float* bias, T* y, float* mean, float* variance,
                               const BatchNormMoving& moving) {
  const Conv2dPlan plan = planned<T>(
      Conv2dDirection::forward, shape, device, y, false, [&](const Conv2dPlan& tried, T* out) {
        conv2d_forward<T>(device, tried, shape, x, w, bias, Epilogue::linear, out, nullptr);
      });
  conv2d_forward_statistics(device, plan, shape, x, w, bias, y, mean, variance, moving);
}
template <class T>
void conv2d_backward_input(Cuda device, const Conv2dShape& shape, const T* dy, const T* w, T* dx,
                           const T* addend) {
  const auto run = [&](const Conv2dPlan& plan, T* out) {
    conv2d_backward_input(device, plan, shape, dy, w, out, addend);
  };
  run(planned<T>(Conv2dDirection::backward_input, shape, device, dx, addend == dx, run), dx);
}
template <class T>
void conv2d_backward_weight(Cuda device, const Conv2dShape& shape, const T* dy, const T* x,
                            float* dw) {
  const auto run = [&](const Conv2dPlan& plan, float* out) {
    conv2d_backward_weight(device, plan, shape, dy, x, out);
  };
  run(planned<T>(Conv2dDirection::backward_weight, shape, device, dw, false, run), dw);
}

#define FETTLE_CONV2D(T)                                                                           \
  template void conv2d_forward(Cuda, const Conv2dPlan&, const Conv2dShape&, const T*, const T*,    \
                               const float*, Epilogue, T*, const T*);                              \
  template void conv2d_forward_statistics(Cuda, const Conv2dPlan&, const Conv2dShape&, const T*,   \
                                          const T*, const float*, T*, float*, float*,              \
                                          const BatchNormMoving&);                                 \
  template void conv2d_forward_statistics(Cuda, const Conv2dShape&, const T*, const T*,            \
                                          const float*, T*, float*, float*,                        \
                                          const BatchNormMoving&);                                 \
  template void conv2d_backward_input(Cuda, const Conv2dPlan&, const Conv2dShape&, const T*,       \
                                      const T*, T*, const T*);                                     \
  template void conv2d_backward_weight(Cuda, const Conv2dPlan&, const Conv2dShape&, const T*,      \
                                       const T*, float*);                                          \
  template void conv2d_forward(Cuda, const Conv2dShape&, const T*, const T*, const float*,         \
                               Epilogue, T*, const T*);                                            \
  template void conv2d_backward_input(Cuda, const Conv2dShape&, const T*, const T*, T*, const T*); \
  template void conv2d_backward_weight(Cuda, const Conv2dShape&, const T*, const T*, float*)
FETTLE_CONV2D(float);
FETTLE_CONV2D(bf16);
#undef FETTLE_CONV2D

}  // namespace fettle
