#include "kernels/conv2d/plan.h"

#include <algorithm>
#include <atomic>
#include <limits>

#include "kernels/conv2d/phases.h"
#include "kernels/conv2d/unfolded.h"

namespace fettle {
namespace {

/// The matrix product of a direction (operands.cuh), of one group and one phase; K is the most that
/// a phase sums over, all of them together `K_of_all`.
struct GemmExtents {
  int64_t M, N, K, phases, K_of_all;
};
GemmExtents extents(Conv2dDirection direction, const Conv2dShape& s) {
  const int64_t Cg = s.C / s.groups, Kg = s.K / s.groups;
  switch (direction) {
    case Conv2dDirection::forward:
      return {s.N * s.P * s.Q, Kg, s.R * s.S * Cg, 1, s.R * s.S * Cg};
    case Conv2dDirection::backward_input: {
      const InputPhases phases(s);
      return {s.N * phases.h.pixels * phases.w.pixels, Cg, phases.h.taps * phases.w.taps * Kg,
              phases.count(), s.R * s.S * Kg};
    }
    case Conv2dDirection::backward_weight:
      return {Kg, s.R * s.S * Cg, s.N * s.P * s.Q, 1, s.N * s.P * s.Q};
  }
  return {};
}

/// Outputs that a block computes.
struct TileExtents {
  int64_t M, N;
};
TileExtents tile_extents(Conv2dDirection direction, Conv2dRung rung, int tile) {
  const bool rows_are_channels = direction == Conv2dDirection::backward_weight;
  switch (rung) {
    case Conv2dRung::direct:
      break;
    case Conv2dRung::tiled:
      return {16, 16};
    case Conv2dRung::implicit_gemm:
    case Conv2dRung::tensor_core:
      return tile ? TileExtents{128, 64} : TileExtents{64, 32};
    case Conv2dRung::multistage:
      if (tile < 2) return tile ? TileExtents{128, 128} : TileExtents{64, 64};
      if (rows_are_channels) return tile == 2 ? TileExtents{16, 128} : TileExtents{32, 128};
      return tile == 2 ? TileExtents{256, 16} : TileExtents{128, 32};
    case Conv2dRung::wgmma:
      return {128, int64_t{64} << tile};
  }
  return {1, 1};
}
int tiles_of(Conv2dRung rung, Precision precision) {
  if (rung == Conv2dRung::direct || rung == Conv2dRung::tiled) return 1;
  if (rung == Conv2dRung::multistage) return 4;
  return rung == Conv2dRung::wgmma && precision == Precision::bf16 ? 3 : 2;
}

/// Depthwise and nearly so: a tile of outputs would share nothing.
bool narrow(const Conv2dShape& s) {
  return std::min(s.C, s.K) / s.groups < 4 && s.groups > 1;
}

/// Rungs 5 and 6 count the eights of channels of their bf16 operands in 32 bits.
bool fits_bf16_operands(const Conv2dShape& shape) {
  const Conv2dShape s = pays_to_unfold(shape) ? unfolded(shape) : shape;
  const auto eights = [&](int64_t pixels, int64_t channels) {
    return pixels * s.groups * (round_up_8(channels / s.groups) / 8);
  };
  return std::max(eights(s.N * s.H * s.W, s.C), eights(s.N * s.P * s.Q, s.K)) <
         std::numeric_limits<int32_t>::max();
}

int64_t summed_channels(Conv2dDirection direction, const Conv2dShape& s) {
  return direction == Conv2dDirection::backward_input ? s.K : s.C;
}

/// What tensor maps of windows can say: in tf32 of the tensors as they lie, which wgmma cannot take
/// across pixels.
bool fits_wgmma(Conv2dDirection direction, const Conv2dShape& s, int compute_capability,
                Precision precision) {
  if (compute_capability != 90 || s.groups > 1) return false;
  if (precision == Precision::bf16 ? !fits_bf16_operands(s)
                                   : direction == Conv2dDirection::backward_weight ||
                                         summed_channels(direction, s) % 4 != 0) {
    return false;
  }
  // Windows from `lower` on, every `stride`, over `in` places.
  const auto axis = [](int64_t in, int64_t windows, int64_t stride, int64_t reach, int64_t lower) {
    const int64_t upper = lower + (windows - 1) * stride - (in - 1);
    return stride <= 8 && reach <= 255 && lower >= -128 && lower <= 127 && upper >= -128 &&
           upper <= 127;
  };
  if (direction == Conv2dDirection::backward_input) {
    const InputPhases phases(s);
    return axis(s.P, phases.h.pixels, 1, phases.h.reach(), phases.h.first_output) &&
           axis(s.Q, phases.w.pixels, 1, phases.w.reach(), phases.w.first_output);
  }
  return axis(s.H, s.P, s.stride_h, (s.R - 1) * s.dilation_h, -s.pad_top) &&
         axis(s.W, s.Q, s.stride_w, (s.S - 1) * s.dilation_w, -s.pad_left);
}

/// The rungs from 2 on keep a table of the phases.
bool fits_phases(Conv2dDirection direction, const Conv2dShape& s) {
  return direction != Conv2dDirection::backward_input ||
         std::max(s.stride_h, s.stride_w) <= max_phases;
}

/// Rung 6 sums over 64 channels of bf16 or 32 of tf32 at a time, or stores as many columns: how
/// much of that is not zeros must be most of it.
bool fills_wgmma(Conv2dDirection direction, const Conv2dShape& s, Precision precision) {
  const int64_t channels = summed_channels(direction, s);
  const int64_t step = precision == Precision::bf16 ? 64 : 32;
  return channels % step == 0 || channels > 3 * step;
}

/// The rungs from 2 on count in 32 bits.
bool fits_32_bits(const GemmExtents& e) {
  return std::max({e.M * e.phases, e.N, e.K}) < std::numeric_limits<int32_t>::max() - 1024;
}

/// The grid's y and z end at 65535.
bool fits_grid(const GemmExtents& e, int64_t groups, int64_t tile_n, int64_t splits) {
  return (e.N + tile_n - 1) / tile_n <= 65535 && groups * e.phases * splits <= 65535;
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
  Conv2dPlan plan;
  if (narrow(shape) || !fits_phases(direction, shape)) return plan;
  const GemmExtents e = extents(direction, shape);
  if (!fits_32_bits(e) || !fits_grid(e, shape.groups, 32, 1)) return plan;
  const bool reduces_pixels = direction == Conv2dDirection::backward_weight;
  const int64_t taps_of_shape = shape.R * shape.S;
  if (precision == Precision::bf16) {
    if (compute_capability < 80 || !fits_bf16_operands(shape)) return plan;
    // A product of matrices is moved more than it is multiplied: the copy engine wins, zeros or
    // not.
    const bool moves =
        taps_of_shape == 1 &&
        (reduces_pixels || (direction == Conv2dDirection::backward_input && e.N > 32));
    const bool suits = moves || fills_wgmma(direction, shape, precision);
    plan.rung = suits && fits_wgmma(direction, shape, compute_capability, precision)
                    ? Conv2dRung::wgmma
                    : Conv2dRung::multistage;
    plan.precision = precision;
  } else {
    // Of tf32 rung 6 against rung 4: 2.7 times as fast forward, geometric mean over ResNet50.
    const bool tf32 = precision == Precision::tf32 && compute_capability >= 80;
    const bool by_warpgroups = tf32 &&
                               fits_wgmma(direction, shape, compute_capability, precision) &&
                               fills_wgmma(direction, shape, precision);
    plan.rung = by_warpgroups ? Conv2dRung::wgmma
                : tf32        ? Conv2dRung::tensor_core
                              : Conv2dRung::implicit_gemm;
    plan.precision = tf32 ? Precision::tf32 : Precision::fp32;
  }
  const bool persistent = plan.rung == Conv2dRung::wgmma;
  const int64_t taps = persistent && reduces_pixels ? taps_of_shape : 1, columns = e.N / taps;
  // Of phases, as many as the longest would make the same work.
  const auto blocks_of = [&](int tile) {
    const TileExtents t = tile_extents(direction, plan.rung, tile);
    return ((e.M + t.M - 1) / t.M) * ((columns + t.N - 1) / t.N) * taps * shape.groups *
           e.K_of_all / e.K;
  };
  const auto filled = [&](int tile) {  // the columns that its blocks compute
    const int64_t n = tile_extents(direction, plan.rung, tile).N;
    return (columns + n - 1) / n * n;
  };
  if (persistent) {
    // 128x128 wins where the sum is long and leaves two tiles for each multiprocessor; 128x256
    // never.
    const bool is_long = e.K >= 1024 && !reduces_pixels;
    if (is_long && columns > 64 && blocks_of(1) >= 2 * multiprocessors) plan.tile = 1;
  } else if (plan.rung == Conv2dRung::multistage && (reduces_pixels ? e.M : columns) <= 32) {
    // Tiles that few channels fill: in 64x64 most of the multiplications of 16 channels were of
    // zeros, and took 1.5 to 2 times as long.
    plan.tile = (reduces_pixels ? e.M : columns) <= 16 ? 2 : 3;
  } else if (reduces_pixels && plan.rung != Conv2dRung::multistage) {
    if (e.M >= 128 && columns >= 64) plan.tile = 1;  // splits make the blocks
  } else {
    // The larger tile, unless its last column is mostly empty or a quarter of the GPU would idle.
    if (columns > tile_extents(direction, plan.rung, 0).N && 5 * filled(1) <= 6 * filled(0) &&
        4 * blocks_of(1) >= 3 * multiprocessors)
      plan.tile = 1;
  }
  // Fewer blocks than there is room for: cut the sum, but leave each part 256 steps at least. The
  // blocks of rung 6 take one part after another: one more than there is room for would double the
  // time; and unless half of the GPU idles, adding parts up costs more than it brings. Those of the
  // lower rungs hide each other's waiting, up to eight on a multiprocessor.
  const int64_t blocks = std::max<int64_t>(blocks_of(plan.tile), 1);
  int64_t wanted = 1;
  if (persistent) {
    const int64_t room = multiprocessors * (plan.tile > 0 ? 1 : 2);
    if (reduces_pixels || 2 * blocks < multiprocessors) wanted = room / blocks;
  } else if (reduces_pixels) {
    wanted = (8 * multiprocessors + blocks - 1) / blocks;
  } else if (2 * blocks < multiprocessors) {
    wanted = (2 * multiprocessors + blocks - 1) / blocks;
  }
  const int64_t possible = std::min(e.K / 256, 65535 / (shape.groups * e.phases));
  plan.splits = static_cast<int>(std::clamp<int64_t>(std::min(wanted, possible), 1, 512));
  return plan;
}

std::vector<Conv2dPlan> all_conv2d_plans(Conv2dDirection direction, const Conv2dShape& shape,
                                         int compute_capability) {
  std::vector<Conv2dPlan> plans = {{}};
  if (!fits_phases(direction, shape)) return plans;
  const GemmExtents e = extents(direction, shape);
  if (!fits_32_bits(e) || !fits_grid(e, shape.groups, 16, 3)) return plans;
  for (const int splits : {1, 3}) {
    plans.push_back({Conv2dRung::tiled, Precision::fp32, 0, splits});
    for (const int tile : {0, 1}) {
      plans.push_back({Conv2dRung::implicit_gemm, Precision::fp32, tile, splits});
      if (compute_capability >= 80)
        plans.push_back({Conv2dRung::tensor_core, Precision::tf32, tile, splits});
    }
  }
  const auto add = [&](Conv2dRung rung, Precision precision) {
    for (int tile = 0; tile < tiles_of(rung, precision); ++tile) {
      plans.push_back({rung, precision, tile, 1});
    }
    plans.push_back({rung, precision, 0, 3});
  };
  if (compute_capability < 80 || narrow(shape)) return plans;
  if (fits_bf16_operands(shape)) add(Conv2dRung::multistage, Precision::bf16);
  for (const Precision precision : {Precision::tf32, Precision::bf16}) {
    if (!fits_wgmma(direction, shape, compute_capability, precision)) continue;
    add(Conv2dRung::wgmma, precision);
  }
  return plans;
}

std::string to_string(const Conv2dPlan& plan) {
  constexpr const char* rungs[] = {"direct",      "tiled",      "implicit_gemm",
                                   "tensor_core", "multistage", "wgmma"};
  std::string text = rungs[static_cast<int>(plan.rung)];
  if (plan.rung == Conv2dRung::direct) return text;
  text += std::string(" ") + name_of(plan.precision);
  if (plan.rung == Conv2dRung::multistage && plan.tile > 1) {
    text += plan.tile == 2 ? " 16 channels" : " 32 channels";
  } else {
    const TileExtents tile = tile_extents(Conv2dDirection::forward, plan.rung, plan.tile);
    text += " " + std::to_string(tile.M) + "x" + std::to_string(tile.N);
  }
  if (plan.splits > 1) text += " in " + std::to_string(plan.splits) + " splits";
  return text;
}

}  // namespace fettle
