#include "kernels/conv2d/plan.h"

#include <algorithm>
#include <atomic>
#include <limits>

namespace fettle {
namespace {

/// The matrix product of a direction (operands.cuh), of one group.
struct GemmExtents {
  int64_t M, N, K;
};
GemmExtents extents(Conv2dDirection direction, const Conv2dShape& s) {
  const int64_t Cg = s.C / s.groups, Kg = s.K / s.groups;
  switch (direction) {
    case Conv2dDirection::forward:
      return {s.N * s.P * s.Q, Kg, s.R * s.S * Cg};
    case Conv2dDirection::backward_input:
      return {s.N * s.H * s.W, Cg, s.R * s.S * Kg};
    case Conv2dDirection::backward_weight:
      return {Kg, s.R * s.S * Cg, s.N * s.P * s.Q};
  }
  return {};
}

/// Outputs that a block computes.
struct TileExtents {
  int64_t M, N;
};
TileExtents tile_extents(Conv2dRung rung, bool wide) {
  switch (rung) {
    case Conv2dRung::direct:
      break;
    case Conv2dRung::tiled:
      return {16, 16};
    case Conv2dRung::implicit_gemm:
    case Conv2dRung::tensor_core:
      return wide ? TileExtents{128, 64} : TileExtents{64, 32};
    case Conv2dRung::multistage:
      return wide ? TileExtents{128, 128} : TileExtents{64, 64};
  }
  return {1, 1};
}

/// Depthwise and nearly so: a tile of outputs would share nothing.
bool narrow(const Conv2dShape& s) {
  return std::min(s.C, s.K) / s.groups < 4 && s.groups > 1;
}

/// The rungs from 2 on count in 32 bits.
bool fits_32_bits(const GemmExtents& e) {
  return std::max({e.M, e.N, e.K}) < std::numeric_limits<int32_t>::max() - 1024;
}

/// The grid's y and z end at 65535.
bool fits_grid(const GemmExtents& e, int64_t groups, int64_t tile_n, int64_t splits) {
  return (e.N + tile_n - 1) / tile_n <= 65535 && groups * splits <= 65535;
}

std::atomic<Precision> precision_on_gpu{Precision::fp32};

const char* name_of(Precision precision) {
  return precision == Precision::fp32 ? "fp32" : precision == Precision::tf32 ? "tf32" : "bf16";
}

}  // namespace

void set_gpu_precision(Precision precision) {
  precision_on_gpu = precision;
}
Precision gpu_precision() {
  return precision_on_gpu;
}

Conv2dPlan plan_conv2d(Conv2dDirection direction, const Conv2dShape& shape, int compute_capability,
                       int multiprocessors, Precision precision) {
  const GemmExtents e = extents(direction, shape);
  Conv2dPlan plan;
  if (narrow(shape) || !fits_32_bits(e) || !fits_grid(e, shape.groups, 32, 1)) return plan;
  plan.rung = Conv2dRung::implicit_gemm;
  if (precision != Precision::fp32 && compute_capability >= 80) {
    plan.rung = Conv2dRung::tensor_core;
    plan.precision = precision;
    // Filled-up channels and tiles of 64 columns must not be mostly zeros.
    const bool whole = shape.C / shape.groups % 8 == 0 && shape.K / shape.groups % 8 == 0;
    if (precision == Precision::bf16 && whole && e.N > 32) plan.rung = Conv2dRung::multistage;
  }
  const auto blocks_of = [&](bool wide) {
    const TileExtents tile = tile_extents(plan.rung, wide);
    return ((e.M + tile.M - 1) / tile.M) * ((e.N + tile.N - 1) / tile.N) * shape.groups;
  };
  plan.wide_tile = e.N > tile_extents(plan.rung, false).N && blocks_of(true) >= multiprocessors;
  // Fewer blocks than multiprocessors: cut the sum, but leave each part 256 steps at least.
  const int64_t blocks = blocks_of(plan.wide_tile);
  const int64_t wanted = (2 * multiprocessors + blocks - 1) / std::max<int64_t>(blocks, 1);
  const int64_t possible = std::min(e.K / 256, 65535 / shape.groups);
  plan.splits = static_cast<int>(std::clamp<int64_t>(std::min(wanted, possible), 1, 64));
  return plan;
}

std::vector<Conv2dPlan> all_conv2d_plans(Conv2dDirection direction, const Conv2dShape& shape,
                                         int compute_capability) {
  std::vector<Conv2dPlan> plans = {{}};
  const GemmExtents e = extents(direction, shape);
  if (!fits_32_bits(e) || !fits_grid(e, shape.groups, 16, 3)) return plans;
  for (const int splits : {1, 3}) {
    plans.push_back({Conv2dRung::tiled, Precision::fp32, false, splits});
    for (const bool wide : {false, true}) {
      plans.push_back({Conv2dRung::implicit_gemm, Precision::fp32, wide, splits});
      if (compute_capability < 80) continue;
      for (const Precision precision : {Precision::tf32, Precision::bf16}) {
        plans.push_back({Conv2dRung::tensor_core, precision, wide, splits});
      }
      if (narrow(shape) || (wide && splits > 1)) continue;
      plans.push_back({Conv2dRung::multistage, Precision::bf16, wide, splits});
    }
  }
  return plans;
}

std::string to_string(const Conv2dPlan& plan) {
  constexpr const char* rungs[] = {"direct", "tiled", "implicit_gemm", "tensor_core", "multistage"};
  std::string text = rungs[static_cast<int>(plan.rung)];
  if (plan.rung == Conv2dRung::direct) return text;
  const TileExtents tile = tile_extents(plan.rung, plan.wide_tile);
  text += std::string(" ") + name_of(plan.precision) + " " + std::to_string(tile.M) + "x" +
          std::to_string(tile.N);
  if (plan.splits > 1) text += " in " + std::to_string(plan.splits) + " splits";
  return text;
}

}  // namespace fettle
