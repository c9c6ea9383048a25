// Consecutive tiles form a block, whose transformed inputs stay in the cache. Each panel of output
// channels then multiplies the block at all 36 points and transforms the products back. Every
// output is a sum over the channels in their order, wherever the blocks end.
#include "kernels/conv2d/cpu_winograd.h"

#include <algorithm>

#include "kernels/divide.h"
#include "kernels/parallel.h"
#include "kernels/prefetch.h"
#include "kernels/scratch.h"

#ifndef FETTLE_WINOGRAD_ONCE
#define FETTLE_WINOGRAD_ONCE
namespace fettle {
namespace {

constexpr int64_t points = winograd_points;

// Inputs and products of a block, at all points, share the second cache.
constexpr int64_t block_floats = 160 * 1024, most_tiles = 48, least_tiles = 12;
constexpr int64_t many = 8;           // blocks that keep all threads busy by themselves
constexpr int64_t widest_panel = 64;  // columns, of any of the instruction sets

/// The tiles in blocks of `size`.
struct Tiling : TileGrid {
  int64_t tiles, size;
  int64_t blocks() const { return ceil_div(tiles, size); }
};

Tiling tiling_of(const TapSum& sum, int64_t panel_columns) {
  Tiling t{tile_grid_of(sum), 0, 0};
  t.tiles = t.count(sum.N);
  const int64_t floats_of_tile = points * (sum.C + std::min(sum.K, panel_columns));
  const int64_t fits = std::clamp(block_floats / floats_of_tile / least_tiles * least_tiles,
                                  least_tiles, most_tiles);
  const int64_t blocks = ceil_div(t.tiles, fits);
  t.size = ceil_div(t.tiles, blocks);
  return t;
}

}  // namespace
}  // namespace fettle
#endif  // FETTLE_WINOGRAD_ONCE

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/conv2d/cpu_winograd.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "kernels/conv2d/pack-inl.h"
#include "kernels/conv2d/winograd-inl.h"
#include "kernels/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fettle {
namespace HWY_NAMESPACE {
namespace {

/// G w: (1/4 0 0), -(1 1 1)/6, -(1 -1 1)/6, (1 2 4)/24, (1 -2 4)/24, (0 0 1).
HWY_INLINE void weight_points(const Vec (&w)[3], Vec (&u)[6]) {
  const Vec sum = hn::Add(w[0], w[2]), far = times_add(1.0f / 6, w[2], times(1.0f / 24, w[0]));
  u[0] = times(0.25f, w[0]);
  u[1] = times(-1.0f / 6, hn::Add(sum, w[1]));
  u[2] = times(-1.0f / 6, hn::Sub(sum, w[1]));
  u[3] = times_add(1.0f / 12, w[1], far);
  u[4] = times_add(-1.0f / 12, w[1], far);
  u[5] = w[2];
}

/// A^T m: (1 1 1 1 1 0), (0 1 -1 2 -2 0), (0 1 1 4 4 0), (0 1 -1 8 -8 1).
HWY_INLINE void outputs_of(const Vec (&m)[6], Vec (&y)[4]) {
  const Vec sum = hn::Add(m[1], m[2]), difference = hn::Sub(m[1], m[2]);
  const Vec sum2 = hn::Add(m[3], m[4]), difference2 = hn::Sub(m[3], m[4]);
  y[0] = hn::Add(hn::Add(m[0], sum), sum2);
  y[1] = times_add(2, difference2, difference);
  y[2] = times_add(4, sum2, sum);
  y[3] = times_add(8, difference2, hn::Add(difference, m[5]));
}

constexpr int64_t panel_columns = max_vectors * L;

int64_t width_of(int64_t K, int64_t panel) {
  return std::min(panel_columns, round_up(K - panel * panel_columns, L));
}

/// Floats from a point's weights to the next one's: rarely a power of two, so that the 36 points of
/// a weight, written together, do not meet in one set of the cache.
int64_t weights_stride(const TapSum& sum, int64_t width) {
  return sum.C * width + L;
}
int64_t weights_of_panel(const TapSum& sum, int64_t panel) {
  return panel * points * weights_stride(sum, panel_columns);
}

/// One tile's products at 36 points, a vector of channels, to 4x4 outputs.
HWY_INLINE void store_outputs(const TapSum& sum, const Tiling& tiling, int64_t tile,
                              const float* products, int64_t point_stride, int64_t k) {
  const int64_t n = tile / (tiling.down * tiling.across);
  const int64_t p0 = tile / tiling.across % tiling.down * 4, q0 = tile % tiling.across * 4;
  Vec half[4][6];
#pragma GCC unroll 6
  for (int j = 0; j < 6; ++j) {
    Vec m[6], y[4];
#pragma GCC unroll 6
    for (int i = 0; i < 6; ++i) m[i] = hn::LoadU(lanes_tag, products + (i * 6 + j) * point_stride);
    outputs_of(m, y);
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) half[i][j] = y[i];
  }
  const Vec zero = hn::Zero(lanes_tag);
  const Vec bias = sum.bias ? load(sum.bias + k, sum.K - k) : zero;
#pragma GCC unroll 4
  for (int64_t i = 0; i < 4; ++i) {
    Vec y[4];
    outputs_of(half[i], y);
    if (p0 + i >= sum.P) continue;
    const int64_t row = n * sum.out_picture + (p0 + i) * sum.out_row + q0 * sum.out_pixel + k;
#pragma GCC unroll 4
    for (int64_t j = 0; j < 4; ++j) {
      if (q0 + j >= sum.Q) break;
      Vec v = hn::Add(y[j], bias);
      const int64_t at = row + j * sum.out_pixel;
      if (sum.addend) v = hn::Add(v, load(sum.addend + at, sum.K - k));
      if (sum.epilogue == Epilogue::relu) v = hn::Max(v, zero);
      store(v, sum.out + at, sum.K - k);
    }
  }
}

/// `count` tiles from `tile` on, whose points lie at `inputs`, by one panel of output channels.
template <int V>
void multiply_panel(const TapSum& sum, const Tiling& tiling, int64_t tile, int64_t count,
                    const float* inputs, int64_t point_stride, const float* weights, int64_t panel,
                    float* products) {
  constexpr int64_t width = V * L;
  const int64_t product_stride = count * width + L;
  for (int64_t point = 0; point < points; ++point) {
    const float* a = inputs + point * point_stride;
    const float* b = weights + point * weights_stride(sum, width);
    float* c = products + point * product_stride;
    const int64_t stride = weights_stride(sum, width);
    LinesAhead ahead(b, stride, stride, ceil_div(count, max_rows(V)) * stretches(sum.C));
    for_each_tile(count, max_rows(V), [&](int64_t first, int64_t rows) {
      with_count<max_rows(V)>(rows, [&]<int M>() {
        Tile<M, V> sums;
        sums.clear();
        sums.accumulate(sum.C, a + first * sum.C, sum.C, 1, b, width,
                        [&](int64_t) { ahead.fetch(); });
        sums.store(c + first * width, width, width);
      });
    });
  }
  for (int64_t i = 0; i < count; ++i)
    for (int64_t v = 0; v < V; ++v)
      store_outputs(sum, tiling, tile + i, products + i * width + v * L, product_stride,
                    panel * panel_columns + v * L);
}

constexpr int64_t channels_at_once = 16;

int64_t parts_of(const TapSum& sum) {
  return ceil_div(sum.C, channels_at_once);
}

/// Some channels of a panel's weights, to all points of the panel.
void transform_part(const TapSum& sum, int64_t panel, int64_t part, float* panel_weights) {
  const int64_t c0 = part * channels_at_once, channels = std::min(channels_at_once, sum.C - c0);
  const int64_t width = width_of(sum.K, panel), stride = weights_stride(sum, width);
  float* to = panel_weights + c0 * width;
  alignas(64) float taps[9][channels_at_once * L];
  for (int64_t k = 0; k < width; k += L) {
    for (int64_t tap = 0; tap < 9; ++tap)
      pack_tap(sum, sum.taps[tap], c0, channels, panel * panel_columns + k, L, taps[tap]);
    for (int64_t c = 0; c < channels; ++c) {
      Vec half[3][6];
      for (int64_t s = 0; s < 3; ++s) {
        Vec w[3];
        for (int64_t r = 0; r < 3; ++r) w[r] = hn::LoadU(lanes_tag, taps[r * 3 + s] + c * L);
        weight_points(w, half[s]);
      }
      for (int64_t r = 0; r < 6; ++r) {
        const Vec w[3] = {half[0][r], half[1][r], half[2][r]};
        Vec u[6];
        weight_points(w, u);
        for (int64_t s = 0; s < 6; ++s)
          hn::StoreU(u[s], lanes_tag, to + (r * 6 + s) * stride + c * width + k);
      }
    }
  }
}

void transform_weights(const TapSum& sum, float* packed) {
  const int64_t panels = ceil_div(sum.K, panel_columns), parts = parts_of(sum);
  parallel_tasks(panels * parts, [&](int64_t task) {
    const int64_t panel = task / parts;
    transform_part(sum, panel, task % parts, packed + weights_of_panel(sum, panel));
  });
}

/// Where `packed` is nullptr, each panel's weights are transformed when their turn comes.
void run_winograd(const TapSum& sum, const float* packed) {
  const Window window = window_of(sum.taps);
  const Tiling tiling = tiling_of(sum, panel_columns);
  const int64_t panels = ceil_div(sum.K, panel_columns);
  const int64_t point_stride = tiling.size * sum.C + L;  // rarely a power of two
  thread_local Scratch zero_scratch;
  float* zeros = zero_scratch.floats(sum.C + L);
  std::fill_n(zeros, sum.C + L, 0.0f);
  const auto transform = [&](int64_t begin, int64_t end, float* inputs) {
    for (int64_t tile = begin; tile < end; ++tile)
      transform_tile(sum, window, tiling, tile, zeros, inputs + tile % tiling.size * sum.C,
                     point_stride);
  };
  const auto multiply = [&](int64_t block, int64_t panel, const float* inputs,
                            const float* weights) {
    const int64_t first = block * tiling.size, vectors = width_of(sum.K, panel) / L;
    thread_local Scratch scratch;
    float* products = scratch.floats(points * (tiling.size * vectors * L + L));
    with_count<max_vectors>(vectors, [&]<int V>() {
      multiply_panel<V>(sum, tiling, first, std::min(tiling.size, tiling.tiles - first), inputs,
                        point_stride, weights, panel, products);
    });
  };
  thread_local Scratch scratch, weights_scratch;
  if (packed && tiling.blocks() >= many) {
    parallel_tasks(tiling.blocks(), [&](int64_t block) {
      float* inputs = scratch.floats(points * point_stride);
      transform(block * tiling.size, std::min(tiling.tiles, (block + 1) * tiling.size), inputs);
      for (int64_t panel = 0; panel < panels; ++panel)
        multiply(block, panel, inputs, packed + weights_of_panel(sum, panel));
    });
    return;
  }
  float* inputs = scratch.floats(tiling.blocks() * points * point_stride);
  const auto inputs_of = [&](int64_t block) { return inputs + block * points * point_stride; };
  parallel_tasks(tiling.tiles,
                 [&](int64_t tile) { transform(tile, tile + 1, inputs_of(tile / tiling.size)); });
  if (packed) {
    parallel_tasks(tiling.blocks() * panels, [&](int64_t task) {
      const int64_t block = task / panels, panel = task % panels;
      multiply(block, panel, inputs_of(block), packed + weights_of_panel(sum, panel));
    });
    return;
  }
  parallel_tasks(panels, [&](int64_t panel) {
    float* weights = weights_scratch.floats(points * weights_stride(sum, width_of(sum.K, panel)));
    for (int64_t part = 0; part < parts_of(sum); ++part) transform_part(sum, panel, part, weights);
    for (int64_t block = 0; block < tiling.blocks(); ++block)
      multiply(block, panel, inputs_of(block), weights);
  });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace fettle
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fettle {

namespace {

/// Whether the inputs of all blocks may lie ready together: at most so many blocks' as are few.
bool has_few_tiles(const TapSum& sum) {
  return tile_grid_of(sum).count(sum.N) < many * most_tiles;
}

}  // namespace

HWY_EXPORT(transform_weights);
HWY_EXPORT(run_winograd);

bool winograd_wins(const TapSum& sum) {
  return suits_winograd(sum) && tile_grid_of(sum).count(sum.N) >= least_tiles;
}

int64_t winograd_packed_floats(const TapSum& sum) {
  // A panel has two vectors of columns or more, but for the last, and one vector between points.
  return points * (sum.C * whole_vectors(sum.K) + whole_vectors(sum.K) / 2 + most_lanes);
}

void winograd_pack(const TapSum& sum, float* packed) {
  HWY_DYNAMIC_DISPATCH(transform_weights)(sum, packed);
}

void winograd_run(const TapSum& sum, const float* packed) {
  HWY_DYNAMIC_DISPATCH(run_winograd)(sum, packed);
}

void winograd_pack_and_run(const TapSum& sum) {
  // More than the caches hold would travel to memory and back: then a panel at a time, of which a
  // thread has its own, where there are few tiles, whose inputs all lie ready.
  constexpr int64_t most_floats = 4 << 20;
  const int64_t floats = winograd_packed_floats(sum);
  float* packed = nullptr;
  if (floats <= most_floats || sum.K < threads() * widest_panel || !has_few_tiles(sum)) {
    thread_local Scratch scratch;
    packed = scratch.floats(floats);
    winograd_pack(sum, packed);
  }
  winograd_run(sum, packed);
}

int64_t winograd_caller_floats(const TapSum& sum) {
  const int64_t inputs = has_few_tiles(sum) ? tile_grid_of(sum).count(sum.N) + many : 0;
  return sum.C + most_lanes + points * (inputs * sum.C + many * most_lanes);
}

int64_t winograd_thread_floats(const TapSum& sum) {
  return std::max(block_floats, points * least_tiles * (sum.C + widest_panel)) +
         2 * points * most_lanes;
}

}  // namespace fettle
#endif  // HWY_ONCE
