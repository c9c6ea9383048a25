#include "kernels/conv2d/plan.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include "kernels/conv2d/phases.h"
#include "kernels/conv2d/tensor_core_tiles.h"
#include "kernels/conv2d/unfolded.h"
#include "kernels/conv2d/wgmma_tiles.h"
#include "kernels/divide.h"

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
    case Conv2dRung::depthwise:
      break;
    case Conv2dRung::tiled:
      return {16, 16};
    case Conv2dRung::implicit_gemm:
      return tile ? TileExtents{128, 64} : TileExtents{64, 32};
    case Conv2dRung::tensor_core:
      return {tensor_core_tiles[rows_are_channels][tile].rows,
              tensor_core_tiles[rows_are_channels][tile].columns};
    case Conv2dRung::multistage:
      if (tile < 2) return tile ? TileExtents{128, 128} : TileExtents{64, 64};
      if (rows_are_channels) return tile == 2 ? TileExtents{16, 128} : TileExtents{32, 128};
      return tile == 2 ? TileExtents{256, 16} : TileExtents{128, 32};
    case Conv2dRung::patch:
      return {256, 32};
    case Conv2dRung::wgmma:
      return {wgmma_tiles[tile].rows, wgmma_tiles[tile].columns};
  }
  return {1, 1};
}
/// The convolution that is multiplied: in bf16, windows of few channels are unfolded.
Conv2dShape multiplied(Conv2dDirection direction, const Conv2dShape& s, Precision precision) {
  const bool of_windows = direction != Conv2dDirection::backward_input;
  return precision == Precision::bf16 && of_windows && pays_to_unfold(s) ? unfolded(s) : s;
}

int tiles_of(Conv2dRung rung) {
  if (rung == Conv2dRung::tiled) return 1;
  if (rung == Conv2dRung::multistage) return 4;
  if (rung == Conv2dRung::tensor_core) return tensor_core_tile_count;
  return rung == Conv2dRung::wgmma ? wgmma_tile_count : 2;
}

/// Depthwise and nearly so: a tile of outputs would share nothing.
bool narrow(const Conv2dShape& s) {
  return std::min(s.C, s.K) / s.groups < 4 && s.groups > 1;
}

/// Whether rung 8 has kernels for it: every channel by itself, weights that fit into the shared
/// memory of any GPU, pixels that count in 32 bits.
bool fits_depthwise(const Conv2dShape& s) {
  return s.groups > 1 && s.C == s.groups && s.K == s.groups && s.R * s.S <= 49 &&
         s.groups * s.R * s.S < std::numeric_limits<int32_t>::max() &&
         s.N * std::max(s.H * s.W, s.P * s.Q) < std::numeric_limits<int32_t>::max();
}

/// Rungs 5 and 6 count the eights of channels of their bf16 operands in 32 bits.
bool fits_bf16_operands(const Conv2dShape& s) {
  const auto eights = [&](int64_t pixels, int64_t channels) {
    return pixels * s.groups * (round_up_8(channels / s.groups) / 8);
  };
  return std::max(eights(s.N * s.H * s.W, s.C), eights(s.N * s.P * s.Q, s.K)) <
         std::numeric_limits<int32_t>::max();
}

int64_t summed_channels(Conv2dDirection direction, const Conv2dShape& s) {
  return direction == Conv2dDirection::backward_input ? s.K : s.C;
}

/// What tensor maps of windows can say: in tf32 of the tensors as they lie, in chunks of 16 bytes.
bool fits_wgmma(Conv2dDirection direction, const Conv2dShape& s, int compute_capability,
                Precision precision) {
  if (compute_capability != 90 || s.groups > 1) return false;
  const bool in_fours = direction == Conv2dDirection::backward_weight
                            ? s.C % 4 == 0 && s.K % 4 == 0
                            : summed_channels(direction, s) % 4 == 0;
  if (precision == Precision::bf16 ? !fits_bf16_operands(s) : !in_fours) return false;
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

/// Rung 6 sums over 32 channels of tf32 at a time: most of them must not be zeros, unless there is
/// so little to multiply that memory is the limit. Of weights the model knows what is empty.
bool fills_wgmma(Conv2dDirection direction, const Conv2dShape& s) {
  if (direction == Conv2dDirection::backward_weight) return true;
  const int64_t channels = summed_channels(direction, s);
  return channels % 32 == 0 || channels > 96 || s.R * s.S == 1;
}

/// Whether rung 7 has kernels for it. bf16 are filled up to whole chunks of 16 bytes, floats are
/// not.
bool fits_patch(Conv2dDirection direction, const Conv2dShape& s, Precision precision) {
  return direction != Conv2dDirection::backward_weight && s.groups == 1 && s.stride_h == 1 &&
         s.stride_w == 1 && s.dilation_h == 1 && s.dilation_w == 1 && s.R <= 3 && s.S <= 3 &&
         s.C <= 32 && s.K <= 32 &&
         (precision == Precision::bf16 || summed_channels(direction, s) % 4 == 0);
}

/// Whether rung 6 is quicker than rung 5 in bf16, as measured on an H200: lines of few channels
/// under many taps are mostly zeros, and results without whole eights go out one by one.
bool pays_wgmma(Conv2dDirection direction, const Conv2dShape& s) {
  const bool many_taps = s.R * s.S > 1;
  switch (direction) {
    case Conv2dDirection::forward:
      return s.K % 8 == 0 && (s.C > 16 || !many_taps);
    case Conv2dDirection::backward_input:
      return s.C % 8 == 0 && (s.K > 16 || !many_taps);
    case Conv2dDirection::backward_weight:
      break;
  }
  return s.C == 16 || s.C >= 32 || !many_taps;
}

/// Whether the rung has this tile for the convolution. Rungs 3 and 4 but for their first tiles copy
/// four channels at once; rung 6's backward weight takes narrow lines where they hold just the
/// channels.
bool has_tile(Conv2dDirection direction, const Conv2dShape& s, Conv2dRung rung, Precision precision,
              int tile) {
  if (rung == Conv2dRung::implicit_gemm || rung == Conv2dRung::tensor_core)
    return tile == 0 || (s.C / s.groups % 4 == 0 && s.K / s.groups % 4 == 0);
  if (rung != Conv2dRung::wgmma) return true;
  const bool weight = direction == Conv2dDirection::backward_weight;
  const int line = wgmma_tiles[tile].line_bytes;
  return has_wgmma_tile(tile, weight, precision == Precision::bf16 ? 2 : 4) &&
         (!weight || line == 128 || s.C * 2 == line);
}

/// The rungs from 2 on count in 32 bits.
bool fits_32_bits(const GemmExtents& e) {
  return std::max({e.M * e.phases, e.N, e.K}) < std::numeric_limits<int32_t>::max() - 1024;
}

/// The grid's y and z end at 65535.
bool fits_grid(const GemmExtents& e, int64_t groups, int64_t tile_n, int64_t splits) {
  return ceil_div(e.N, tile_n) <= 65535 && groups * e.phases * splits <= 65535;
}

/// Clocks of a multiprocessor that the addition of a plan's parts takes.
double adding_clocks(const Conv2dPlan& plan, const GemmExtents& e) {
  if (plan.splits == 1) return 0;
  const double bytes = 4.0 * static_cast<double>(e.M * e.phases * e.N);
  return 5840 + (2.0 * plan.splits + 1) * bytes / 2990;
}

/// Clocks of a multiprocessor that rung 4 takes, as a model: of a warp, 1.6 for each of its words
/// of 16x8x8 and 2.5 for each factor that a lane fetches, and twice as long where only eight warps
/// of sixteen hide each other's waiting. Of most of 592 times of an H200 (the tiles and splits of
/// ResNet50's and Res-UNet's weights, 32 pictures; bench/results) what the model chooses takes 8 %
/// longer than the quickest, geometric mean; the two largest tiles have got twice as many warps
/// since.
double tensor_core_clocks(Conv2dDirection direction, const Conv2dShape& s, const Conv2dPlan& plan,
                          int multiprocessors) {
  const GemmExtents e = extents(direction, s);
  const bool rows_are_channels = direction == Conv2dDirection::backward_weight;
  const auto [rows, columns, down, across] = tensor_core_tiles[rows_are_channels][plan.tile];
  const double words_m = rows / down / 16.0, words_n = columns / across / 8.0;
  const double warp = 1.6 * words_m * words_n + 2.5 * (4 * words_m + 2 * words_n);
  const double items = static_cast<double>(conv2d_tiles(direction, s, plan)) * plan.splits;
  const double steps = std::ceil(static_cast<double>(e.K) / 8 / plan.splits);
  const double blocks = std::ceil(items / multiprocessors), warps = blocks * down * across;
  return blocks * (steps * warp * down * across * std::max(16 / warps, 1.0) + 3000) +
         adding_clocks(plan, e);
}

/// Clocks that a stage of rung 6 takes: what its multiplication, its way through shared memory or
/// the copies of its lines cost most. Of the weights in tf32 the columns are fetched from shared
/// memory and the rows turned round there, and wgmma reads them for every 64 columns; a consumer
/// alone, of 64 columns, waits for both at every stage (an estimate, not measured yet).
double wgmma_stage_clocks(const WgmmaTileExtents& tile, bool of_weights, bool is_turned,
                          double copying_multiprocessors) {
  const auto [rows, columns, stages, line, pieces] = tile;
  const double lines = of_weights ? pieces * columns + rows : pieces * (columns + rows);
  const double multiplying = rows * columns / 32.0 + (is_turned && columns == 64 ? 160 : 0);
  const double in_shared_memory =
      is_turned ? (3 + columns / 64) * rows + 2 * columns : 3 * rows + 2 * columns;
  return std::max(line * pieces / 128.0 * std::max(multiplying, 1.09 * in_shared_memory),
                  2.78 * lines * copying_multiprocessors);
}

/// Clocks of a multiprocessor that rung 6 takes, as a model: of a tile its stages, its beginning
/// and its store; of the whole the tiles that follow one another on a multiprocessor, or the bytes
/// of the tensors, which overlap by half; of parts their addition. The numbers are fitted to 1,346
/// times of an H200 (the tiles and splits of ResNet50's convolutions in bf16, 32 pictures); what
/// the model chooses takes 2 % longer than the quickest, geometric mean.
double wgmma_clocks(Conv2dDirection direction, const Conv2dShape& s, const Conv2dPlan& plan,
                    int multiprocessors) {
  const GemmExtents e = extents(direction, s);
  const auto [rows, columns, stages, line, of_stage] = wgmma_tiles[plan.tile];
  const bool reduces_pixels = direction == Conv2dDirection::backward_weight;
  const double size = plan.precision == Precision::bf16 ? 2 : 4, splits = plan.splits;
  const double result_size = reduces_pixels || plan.splits > 1 ? 4 : size;
  const double items = static_cast<double>(conv2d_tiles(direction, s, plan)) * splits;
  const double at_once = std::min<double>(items, multiprocessors);

  const int64_t summed = reduces_pixels ? e.K : summed_channels(direction, s);
  const double taps = static_cast<double>(e.K) / static_cast<double>(std::max<int64_t>(summed, 1));
  const double pieces = taps * std::ceil(static_cast<double>(summed) * size / line);
  const double stages_of_tile = std::ceil(
      (reduces_pixels ? static_cast<double>(e.K) * size / 128 : pieces / of_stage) / splits);
  const double stage = wgmma_stage_clocks(wgmma_tiles[plan.tile], reduces_pixels,
                                          reduces_pixels && plan.precision == Precision::tf32,
                                          at_once / multiprocessors);
  const bool overlaps = columns == 64 && items > multiprocessors;
  const double store = 0.083 * rows * columns * result_size / 2 * (overlaps ? 0.74 : 1.0);
  // The phases of a stride are of several lengths and even out.
  const double rounds =
      e.phases == 1 ? std::ceil(items / multiprocessors) : std::max(items / multiprocessors, 1.0);
  const double computing =
      rounds * (stages_of_tile * stage * (columns == 64 ? 0.95 : 1.08) + 380 + store);

  const auto bytes = [&](int64_t elements, double each) {
    return static_cast<double>(elements) * each;
  };
  const int64_t x = s.N * s.H * s.W * s.C, y = s.N * s.P * s.Q * s.K, result = e.M * e.phases * e.N;
  const double moving = (bytes(direction == Conv2dDirection::backward_input ? 0 : x, size) +
                         bytes(direction == Conv2dDirection::forward ? 0 : y, size) +
                         bytes(plan.splits > 1 ? 0 : result, result_size)) /
                        1900;
  return std::max(computing, moving) + 0.48 * std::min(computing, moving) + adding_clocks(plan, e);
}

/// What the model of rung 4 or 6 says.
double model_clocks(Conv2dDirection direction, const Conv2dShape& s, const Conv2dPlan& plan,
                    int multiprocessors) {
  return plan.rung == Conv2dRung::wgmma ? wgmma_clocks(direction, s, plan, multiprocessors)
                                        : tensor_core_clocks(direction, s, plan, multiprocessors);
}

struct Modelled {
  Conv2dPlan plan;
  double clocks = std::numeric_limits<double>::infinity();
};

/// The tile and splits of rung 4 or 6 that the model finds quickest.
Modelled quickest_by_model(Conv2dDirection direction, const Conv2dShape& s, Conv2dRung rung,
                           Precision precision, int multiprocessors) {
  Modelled best;
  const GemmExtents e = extents(direction, s);
  const int64_t most = std::max<int64_t>(std::min(e.K / 256, 65535 / (s.groups * e.phases)), 1);
  // Narrow lines where they hold the channels of many taps.
  const bool narrow_lines =
      precision == Precision::bf16 && s.R * s.S > 1 && summed_channels(direction, s) <= 32;
  for (int tile = 0; tile < tiles_of(rung); ++tile) {
    if (!has_tile(direction, s, rung, precision, tile)) continue;
    if (rung == Conv2dRung::wgmma && direction != Conv2dDirection::backward_weight &&
        (wgmma_tiles[tile].line_bytes < 128) != narrow_lines)
      continue;
    Conv2dPlan plan = {rung, precision, tile, 1};
    const int64_t tiles = std::max<int64_t>(conv2d_tiles(direction, s, plan), 1);
    for (const int rounds : {0, 1, 2, 3, 4, 6, 8}) {
      if (rung == Conv2dRung::wgmma && rounds > 3) break;
      plan.splits = static_cast<int>(
          std::clamp<int64_t>(rounds * multiprocessors / tiles, 1, std::min<int64_t>(most, 512)));
      const double clocks = model_clocks(direction, s, plan, multiprocessors);
      if (clocks < best.clocks) best = {plan, clocks};
    }
  }
  return best;
}

std::atomic<Precision> precision_on_gpu{Precision::fp32};

}  // namespace

void set_gpu_precision(Precision precision) {
  precision_on_gpu = precision;
}
Precision gpu_precision() {
  return precision_on_gpu;
}

int64_t conv2d_tiles(Conv2dDirection direction, const Conv2dShape& given, const Conv2dPlan& plan) {
  const Conv2dShape shape = multiplied(direction, given, plan.precision);
  const GemmExtents e = extents(direction, shape);
  const TileExtents t = tile_extents(direction, plan.rung, plan.tile);
  // Rung 6 begins a tile anew with each tap, unless they lie side by side.
  const bool by_taps = plan.rung == Conv2dRung::wgmma &&
                       direction == Conv2dDirection::backward_weight &&
                       wgmma_tiles[plan.tile].line_bytes == 128;
  const int64_t taps = by_taps ? shape.R * shape.S : 1;
  return ceil_div(e.M, t.M) * ceil_div(e.N / taps, t.N) * taps * shape.groups *
         std::max<int64_t>(e.K_of_all, 1) / std::max<int64_t>(e.K, 1);
}

Conv2dPlan plan_conv2d(Conv2dDirection direction, const Conv2dShape& given, int compute_capability,
                       int multiprocessors, Precision precision) {
  const Conv2dShape shape = multiplied(direction, given, precision);
  Conv2dPlan plan;
  if (fits_depthwise(shape)) return {Conv2dRung::depthwise};
  if (narrow(shape) || !fits_phases(direction, shape)) return plan;
  const GemmExtents e = extents(direction, shape);
  if (!fits_32_bits(e) || !fits_grid(e, shape.groups, 32, 1)) return plan;
  const bool reduces_pixels = direction == Conv2dDirection::backward_weight;
  if (precision == Precision::bf16) {
    if (compute_capability < 80 || !fits_bf16_operands(shape)) return plan;
    const bool by_warpgroups =
        fits_wgmma(direction, shape, compute_capability, precision) && pays_wgmma(direction, shape);
    const bool few = fits_patch(direction, shape, precision);
    plan.rung = few             ? Conv2dRung::patch  // 1.4 to 3.7 times as quick
                : by_warpgroups ? Conv2dRung::wgmma
                                : Conv2dRung::multistage;
    plan.precision = precision;
  } else {
    // Of tf32 rung 6 against rung 4: 2.7 times as fast forward, geometric mean over ResNet50.
    const bool tf32 = precision == Precision::tf32 && compute_capability >= 80;
    const bool by_warpgroups = tf32 &&
                               fits_wgmma(direction, shape, compute_capability, precision) &&
                               fills_wgmma(direction, shape);
    // Rung 7 against both: 1.0 to 5 times as fast; rung 6 is a little quicker where it fills a
    // line.
    const bool few = tf32 && fits_patch(direction, shape, precision) &&
                     (!by_warpgroups || summed_channels(direction, shape) <= 16);
    plan.rung = few             ? Conv2dRung::patch
                : by_warpgroups ? Conv2dRung::wgmma
                : tf32          ? Conv2dRung::tensor_core
                                : Conv2dRung::implicit_gemm;
    plan.precision = tf32 ? Precision::tf32 : Precision::fp32;
  }
  if (plan.rung == Conv2dRung::patch) return plan;
  if (plan.rung == Conv2dRung::wgmma || plan.rung == Conv2dRung::tensor_core) {
    const auto quickest = [&](Conv2dRung rung) {
      return quickest_by_model(direction, shape, rung, plan.precision, multiprocessors);
    };
    const Modelled best = quickest(plan.rung);
    if (plan.rung == Conv2dRung::tensor_core || precision == Precision::bf16 || !reduces_pixels)
      return best.plan;
    const Modelled by_warps = quickest(Conv2dRung::tensor_core);
    return best.clocks < by_warps.clocks ? best.plan : by_warps.plan;
  }
  // Of phases, as many as the longest would make the same work.
  const auto blocks_of = [&](int tile) {
    return conv2d_tiles(direction, shape, {plan.rung, plan.precision, tile});
  };
  const auto filled = [&](int tile) {  // the columns that its blocks compute
    const int64_t n = tile_extents(direction, plan.rung, tile).N;
    return round_up(e.N, n);
  };
  if (plan.rung == Conv2dRung::multistage && (reduces_pixels ? e.M : e.N) <= 32) {
    // Tiles that few channels fill: in 64x64 most of the multiplications of 16 channels were of
    // zeros, and took 1.5 to 2 times as long.
    plan.tile = (reduces_pixels ? e.M : e.N) <= 16 ? 2 : 3;
  } else if (!has_tile(direction, shape, plan.rung, plan.precision, 1)) {
    plan.tile = 0;
  } else if (reduces_pixels && plan.rung != Conv2dRung::multistage) {
    if (e.M >= 128 && e.N >= 64) plan.tile = 1;  // splits make the blocks
  } else {
    // The larger tile, unless its last column is mostly empty or a quarter of the GPU would idle.
    if (e.N > tile_extents(direction, plan.rung, 0).N && 5 * filled(1) <= 6 * filled(0) &&
        4 * blocks_of(1) >= 3 * multiprocessors)
      plan.tile = 1;
  }
  // Fewer blocks than there is room for: cut the sum, but leave each part 256 steps at least. The
  // blocks hide each other's waiting, up to eight on a multiprocessor; unless half of the GPU
  // idles, adding parts up costs more than it brings.
  const int64_t blocks = std::max<int64_t>(blocks_of(plan.tile), 1);
  int64_t wanted = 1;
  if (reduces_pixels) {
    wanted = ceil_div(8 * multiprocessors, blocks);
  } else if (2 * blocks < multiprocessors) {
    wanted = ceil_div(2 * multiprocessors, blocks);
  }
  const int64_t possible = std::min(e.K / 256, 65535 / (shape.groups * e.phases));
  plan.splits = static_cast<int>(std::clamp<int64_t>(std::min(wanted, possible), 1, 512));
  return plan;
}

std::vector<Conv2dPlan> all_conv2d_plans(Conv2dDirection direction, const Conv2dShape& shape,
                                         int compute_capability) {
  std::vector<Conv2dPlan> plans = {{}};
  if (fits_depthwise(shape)) plans.push_back({Conv2dRung::depthwise});
  if (!fits_phases(direction, shape)) return plans;
  const GemmExtents e = extents(direction, shape);
  if (!fits_32_bits(e) || !fits_grid(e, shape.groups, 16, 3)) return plans;
  const auto add = [&](Conv2dRung rung, Precision precision) {
    const Conv2dShape s = multiplied(direction, shape, precision);
    for (int tile = 0; tile < tiles_of(rung); ++tile) {
      if (has_tile(direction, s, rung, precision, tile))
        plans.push_back({rung, precision, tile, 1});
    }
    plans.push_back({rung, precision, 0, 3});
  };
  add(Conv2dRung::tiled, Precision::fp32);
  add(Conv2dRung::implicit_gemm, Precision::fp32);
  if (compute_capability < 80) return plans;
  add(Conv2dRung::tensor_core, Precision::tf32);
  if (narrow(shape)) return plans;
  if (fits_patch(direction, shape, Precision::tf32))
    plans.push_back({Conv2dRung::patch, Precision::tf32, 0, 1});
  const Conv2dShape in_bf16 = multiplied(direction, shape, Precision::bf16);
  if (fits_bf16_operands(in_bf16)) {
    add(Conv2dRung::multistage, Precision::bf16);
    if (fits_patch(direction, in_bf16, Precision::bf16))
      plans.push_back({Conv2dRung::patch, Precision::bf16, 0, 1});
  }
  for (const Precision precision : {Precision::tf32, Precision::bf16}) {
    const Conv2dShape s = multiplied(direction, shape, precision);
    if (fits_wgmma(direction, s, compute_capability, precision)) add(Conv2dRung::wgmma, precision);
  }
  return plans;
}

std::string to_string(const Conv2dPlan& plan) {
  constexpr const char* rungs[] = {"direct",     "tiled", "implicit_gemm", "tensor_core",
                                   "multistage", "wgmma", "patch",         "depthwise"};
  std::string text = rungs[static_cast<int>(plan.rung)];
  if (plan.rung == Conv2dRung::direct || plan.rung == Conv2dRung::depthwise) return text;
  text += std::string(" ") + name_of(plan.precision);
  if (plan.rung == Conv2dRung::patch) return text;
  const int for_few = plan.tile - (plan.rung == Conv2dRung::multistage    ? 2
                                   : plan.rung == Conv2dRung::tensor_core ? 3
                                                                          : wgmma_tile_count);
  if (for_few >= 0) {
    text += for_few == 0 ? " 16 channels" : " 32 channels";
  } else {
    const TileExtents tile = tile_extents(Conv2dDirection::forward, plan.rung, plan.tile);
    text += " " + std::to_string(tile.M) + "x" + std::to_string(tile.N);
  }
  if (plan.rung == Conv2dRung::wgmma && wgmma_tiles[plan.tile].line_bytes < 128)
    text += " by " + std::to_string(wgmma_tiles[plan.tile].line_bytes / 2) + " channels";
  if (plan.splits > 1) text += " in " + std::to_string(plan.splits) + " splits";
  return text;
}

}  // namespace fettle
