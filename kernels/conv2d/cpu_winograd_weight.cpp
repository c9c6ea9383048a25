// Tiles go in chunks whose inputs and gradients are transformed; then each point is one matrix
// product. With few channels every thread has chunks of its own, whose sums at all points stay in
// its cache until the last. With many, all threads share a chunk, and its weights are finished
// block by block: the sums at all points of a block stay in the cache, those of all weights would
// not.
#include "kernels/conv2d/cpu_winograd_weight.h"

#include <algorithm>

#include "kernels/conv2d/cpu_winograd.h"
#include "kernels/divide.h"
#include "kernels/parallel.h"
#include "kernels/scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/conv2d/cpu_winograd_weight.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "kernels/conv2d/winograd-inl.h"
#include "kernels/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fettle {
namespace HWY_NAMESPACE {
namespace {

constexpr int64_t points = winograd_points, panel_columns = max_vectors * L;

/// G g: (1/4 0 0 0), -(1 1 1 1)/6, -(1 -1 1 -1)/6, (1 2 4 8)/24, (1 -2 4 -8)/24, (0 0 0 1).
HWY_INLINE void gradient_points(const Vec (&g)[4], Vec (&t)[6]) {
  const Vec even = hn::Add(g[0], g[2]), odd = hn::Add(g[1], g[3]);
  const Vec even2 = times_add(4, g[2], g[0]), odd2 = times_add(8, g[3], times(2, g[1]));
  t[0] = times(0.25f, g[0]);
  t[1] = times(-1.0f / 6, hn::Add(even, odd));
  t[2] = times(-1.0f / 6, hn::Sub(even, odd));
  t[3] = times(1.0f / 24, hn::Add(even2, odd2));
  t[4] = times(1.0f / 24, hn::Sub(even2, odd2));
  t[5] = g[3];
}

/// A^T m: (1 1 1 1 1 0), (0 1 -1 2 -2 0), (0 1 1 4 4 1).
HWY_INLINE void weights_of(const Vec (&m)[6], Vec (&w)[3]) {
  const Vec sum = hn::Add(m[1], m[2]), sum2 = hn::Add(m[3], m[4]);
  w[0] = hn::Add(hn::Add(m[0], sum), sum2);
  w[1] = times_add(2, hn::Sub(m[3], m[4]), hn::Sub(m[1], m[2]));
  w[2] = hn::Add(times_add(4, sum2, sum), m[5]);
}

/// One tile of 4x4 gradients to its 36 points; zeros [K] stands for pixels outside.
void transform_gradients(const Conv2dShape& s, const Group& g, const TileGrid& grid, int64_t tile,
                         const float* dy, const float* zeros, float* to, int64_t point_stride) {
  const int64_t n = tile / (grid.down * grid.across);
  const int64_t p0 = tile / grid.across % grid.down * 4, q0 = tile % grid.across * 4;
  const float* pixels[4][4];
  for (int64_t i = 0; i < 4; ++i) {
    for (int64_t j = 0; j < 4; ++j) {
      const int64_t p = p0 + i, q = q0 + j;
      pixels[i][j] = p < s.P && q < s.Q ? dy + ((n * s.P + p) * s.Q + q) * s.K + g.y : zeros;
    }
  }
  for (int64_t k = 0; k < g.K; k += L) {
    Vec half[6][4];
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      Vec column[4], t[6];
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) column[i] = load(pixels[i][j] + k, g.K - k);
      gradient_points(column, t);
#pragma GCC unroll 6
      for (int i = 0; i < 6; ++i) half[i][j] = t[i];
    }
#pragma GCC unroll 6
    for (int i = 0; i < 6; ++i) {
      Vec t[6];
      gradient_points(half[i], t);
#pragma GCC unroll 6
      for (int j = 0; j < 6; ++j) store(t[j], to + (i * 6 + j) * point_stride + k, g.K - k);
    }
  }
}

/// sums [K,C] of one point = the products of `tiles` tiles, or += them if `add`.
void multiply_point(int64_t K, int64_t C, int64_t tiles, const float* gradients,
                    int64_t gradient_row, const float* inputs, int64_t input_row, bool add,
                    float* sums) {
  for (int64_t c = 0; c < C; c += panel_columns) {
    const int64_t columns = std::min(panel_columns, C - c);
    with_count<max_vectors>(ceil_div(columns, L), [&]<int V>() {
      for_each_tile(K, max_rows(V), [&](int64_t k, int64_t rows) {
        with_count<max_rows(V)>(rows, [&]<int M>() {
          Tile<M, V> tile;
          tile.clear();
          tile.accumulate(tiles, gradients + k, 1, gradient_row, inputs + c, input_row);
          if (add) {
            tile.add_to(sums + k * C + c, C, columns);
          } else {
            tile.store(sums + k * C + c, C, columns);
          }
        });
      });
    });
  }
}

/// dw[0,r,s,0:C] of one output = what the sums at all points make, or += that if `add`. The sums
/// [splits,36,K,C] begin with the output's own.
void store_weights(int64_t K, int64_t C, int64_t splits, const float* sums, bool add, float* dw,
                   int64_t tap) {
  for (int64_t c = 0; c < C; c += L) {
    Vec half[3][6];
#pragma GCC unroll 6
    for (int j = 0; j < 6; ++j) {
      Vec m[6], w[3];
#pragma GCC unroll 6
      for (int i = 0; i < 6; ++i) {
        const float* sum = sums + (i * 6 + j) * K * C + c;
        m[i] = load(sum, C - c);
        for (int64_t split = 1; split < splits; ++split)
          m[i] = hn::Add(m[i], load(sum + split * points * K * C, C - c));
      }
      weights_of(m, w);
#pragma GCC unroll 3
      for (int r = 0; r < 3; ++r) half[r][j] = w[r];
    }
#pragma GCC unroll 3
    for (int r = 0; r < 3; ++r) {
      Vec w[3];
      weights_of(half[r], w);
#pragma GCC unroll 3
      for (int s = 0; s < 3; ++s) {
        float* to = dw + (r * 3 + s) * tap + c;
        store(add ? hn::Add(load(to, C - c), w[s]) : w[s], to, C - c);
      }
    }
  }
}

/// Some tiles at all points, whose tables lie `_stride` floats apart.
struct Transformed {
  int64_t tiles;
  const float* inputs;  // [36][tiles,C]
  int64_t input_stride;
  const float* gradients;  // [36][tiles,K]
  int64_t gradient_stride;
};

/// Transforms up to `most` tiles at a time, into memory of the thread that asks.
class Transformation {
 public:
  Transformation(const Conv2dShape& s, const Group& g, const TapSum& forward, const float* dy,
                 int64_t most)
      : s_(s), g_(g), forward_(forward), dy_(dy), window_(window_of(forward.taps)), most_(most) {
    thread_local Scratch scratch;
    float* zeros = scratch.floats(std::max(g.C, g.K) + L);
    std::fill_n(zeros, std::max(g.C, g.K) + L, 0.0f);
    zeros_ = zeros;
  }

  Transformed operator()(int64_t begin, int64_t end) const {
    const int64_t C = g_.C, K = g_.K;
    // Strides that are rarely a power of two; vectors may read beyond the last tile.
    const int64_t input_stride = most_ * C + L, gradient_stride = most_ * K + L;
    thread_local Scratch input_scratch, gradient_scratch;
    float* inputs = input_scratch.floats(points * input_stride + panel_columns);
    float* gradients = gradient_scratch.floats(points * gradient_stride);
    parallel_for(end - begin, 8, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; ++i) {
        transform_tile(forward_, window_, grid_, begin + i, zeros_, inputs + i * C, input_stride);
        transform_gradients(s_, g_, grid_, begin + i, dy_, zeros_, gradients + i * K,
                            gradient_stride);
      }
    });
    return {end - begin, inputs, input_stride, gradients, gradient_stride};
  }

 private:
  const Conv2dShape& s_;
  const Group& g_;
  const TapSum& forward_;
  const float* dy_;
  Window window_;
  TileGrid grid_ = tile_grid_of(forward_);
  const float* zeros_;
  int64_t most_;
};

/// Tiles to a chunk of at most `most` floats: chunks of nearly equal size.
int64_t chunk_size(int64_t tiles, int64_t channels, int64_t most) {
  const int64_t fits = std::clamp<int64_t>(most / (points * channels), 24, 512);
  const int64_t chunks = ceil_div(tiles, fits);
  return ceil_div(tiles, chunks);
}

/// Each split of the tiles has sums of its own, for a thread.
void run_in_splits(const Conv2dShape& s, const Group& g, const TapSum& forward, int64_t splits,
                   const float* dy, float* dw) {
  const int64_t tiles = tile_grid_of(forward).count(s.N), C = g.C, K = g.K;
  const int64_t size = chunk_size(ceil_div(tiles, splits), C + K, 96 << 10);
  thread_local Scratch sum_scratch;
  float* sums = sum_scratch.floats(splits * points * K * C);
  const Transformation transformed(s, g, forward, dy, size);
  parallel_tasks(splits, [&](int64_t split) {
    const int64_t begin = tiles * split / splits, end = tiles * (split + 1) / splits;
    for (int64_t chunk = begin; chunk < end; chunk += size) {
      const Transformed t = transformed(chunk, std::min(chunk + size, end));
      for (int64_t point = 0; point < points; ++point)
        multiply_point(K, C, t.tiles, t.gradients + point * t.gradient_stride, K,
                       t.inputs + point * t.input_stride, C, chunk > begin,
                       sums + (split * points + point) * K * C);
    }
  });
  parallel_for(K, 4, [&](int64_t first, int64_t last) {
    for (int64_t k = first; k < last; ++k)
      store_weights(K, C, splits, sums + k * C, false, dw + k * 9 * C, C);
  });
}

/// Blocks of outputs and channels, each a task.
void run_in_blocks(const Conv2dShape& s, const Group& g, const TapSum& forward, const float* dy,
                   float* dw) {
  constexpr int64_t block_outputs = 32;
  const int64_t tiles = tile_grid_of(forward).count(s.N), C = g.C, K = g.K;
  const int64_t size = chunk_size(tiles, C + K, 3 << 20);  // stays in the third cache
  const int64_t blocks = ceil_div(K, block_outputs);
  const int64_t panels = ceil_div(C, panel_columns);
  const Transformation transformed(s, g, forward, dy, size);
  for (int64_t chunk = 0; chunk < tiles; chunk += size) {
    const Transformed t = transformed(chunk, std::min(chunk + size, tiles));
    parallel_tasks(panels * blocks, [&](int64_t task) {
      const int64_t c0 = task / blocks * panel_columns, k0 = task % blocks * block_outputs;
      const int64_t channels = std::min(panel_columns, C - c0);
      const int64_t outputs = std::min(block_outputs, K - k0);
      thread_local Scratch scratch;
      float* sums = scratch.floats(points * outputs * channels);
      for (int64_t point = 0; point < points; ++point)
        multiply_point(outputs, channels, t.tiles, t.gradients + point * t.gradient_stride + k0, K,
                       t.inputs + point * t.input_stride + c0, C, false,
                       sums + point * outputs * channels);
      for (int64_t k = 0; k < outputs; ++k)
        store_weights(outputs, channels, 1, sums + k * channels, chunk > 0,
                      dw + (k0 + k) * 9 * C + c0, C);
    });
  }
}

void run_winograd_weight(const Conv2dShape& s, const Group& g, const TapSum& forward,
                         const float* dy, float* dw) {
  constexpr int64_t most_splits = 16, most_floats = 1 << 20, least_tiles = 128, few = 8;
  const int64_t splits = std::min({most_splits, most_floats / (points * g.K * g.C),
                                   tile_grid_of(forward).count(s.N) / least_tiles});
  if (splits >= few) {
    run_in_splits(s, g, forward, splits, dy, dw + g.w);
  } else {
    run_in_blocks(s, g, forward, dy, dw + g.w);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace fettle
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fettle {

HWY_EXPORT(run_winograd_weight);

bool winograd_weight_wins(const TapSum& forward) {
  return suits_winograd(forward) && tile_grid_of(forward).count(forward.N) >= 32;
}

void winograd_backward_weight(const Conv2dShape& shape, const Group& group, const TapSum& forward,
                              const float* dy, float* dw) {
  HWY_DYNAMIC_DISPATCH(run_winograd_weight)(shape, group, forward, dy, dw);
}

}  // namespace fettle
#endif  // HWY_ONCE
