// Tiles go in chunks. The inputs and the gradients of a chunk are transformed, all threads sharing
// the tiles; then each point is one matrix product, added to that of the chunks before.
#include "kernels/conv2d/cpu_winograd_weight.h"

#include <algorithm>

#include "kernels/conv2d/cpu_winograd.h"
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

/// sums [K,C] of one point += the products of `tiles` tiles, or = them in the first chunk.
void add_point(int64_t K, int64_t C, int64_t tiles, const float* gradients, const float* inputs,
               bool first_chunk, float* sums) {
  for (int64_t c = 0; c < C; c += panel_columns) {
    const int64_t columns = std::min(panel_columns, C - c);
    with_count<max_vectors>((columns + L - 1) / L, [&]<int V>() {
      for_each_tile(K, max_rows(V), [&](int64_t k, int64_t rows) {
        with_count<max_rows(V)>(rows, [&]<int M>() {
          Tile<M, V> tile;
          tile.clear();
          tile.accumulate(tiles, gradients + k, 1, K, inputs + c, C);
          if (first_chunk) {
            tile.store(sums + k * C + c, C, columns);
          } else {
            tile.add_to(sums + k * C + c, C, columns);
          }
        });
      });
    });
  }
}

/// dw[k,r,s,c] of one output from the sums at all points, which several splits have.
void store_weights(int64_t K, int64_t C, int64_t k, int64_t splits, const float* sums, float* dw) {
  for (int64_t c = 0; c < C; c += L) {
    Vec half[3][6];
#pragma GCC unroll 6
    for (int j = 0; j < 6; ++j) {
      Vec m[6], w[3];
#pragma GCC unroll 6
      for (int i = 0; i < 6; ++i) {
        const float* sum = sums + ((i * 6 + j) * K + k) * C + c;
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
      for (int s = 0; s < 3; ++s) store(w[s], dw + (k * 9 + r * 3 + s) * C + c, C - c);
    }
  }
}

/// What the tiles [begin, end) in chunks of `size` sum up to at all points.
class TileSums {
 public:
  TileSums(const Conv2dShape& s, const Group& g, const TapSum& forward, const float* dy)
      : s_(s), g_(g), forward_(forward), dy_(dy), window_(window_of(forward.taps)) {
    thread_local Scratch scratch;
    float* zeros = scratch.floats(std::max(g.C, g.K) + L);
    std::fill_n(zeros, std::max(g.C, g.K) + L, 0.0f);
    zeros_ = zeros;
  }

  void add(int64_t begin, int64_t end, int64_t size, float* sums) const {
    const int64_t C = g_.C, K = g_.K;
    // Strides that are rarely a power of two; vectors may read beyond the last tile.
    const int64_t input_stride = size * C + L, gradient_stride = size * K + L;
    thread_local Scratch input_scratch, gradient_scratch;
    float* inputs = input_scratch.floats(points * input_stride + panel_columns);
    float* gradients = gradient_scratch.floats(points * gradient_stride);
    for (int64_t chunk = begin; chunk < end; chunk += size) {
      const int64_t count = std::min(size, end - chunk);
      parallel_for(count, 8, [&](int64_t first, int64_t last) {
        for (int64_t i = first; i < last; ++i) {
          transform_tile(forward_, window_, grid_, chunk + i, zeros_, inputs + i * C, input_stride);
          transform_gradients(s_, g_, grid_, chunk + i, dy_, zeros_, gradients + i * K,
                              gradient_stride);
        }
      });
      parallel_tasks(points, [&](int64_t point) {
        add_point(K, C, count, gradients + point * gradient_stride, inputs + point * input_stride,
                  chunk == begin, sums + point * K * C);
      });
    }
  }

 private:
  const Conv2dShape& s_;
  const Group& g_;
  const TapSum& forward_;
  const float* dy_;
  Window window_;
  TileGrid grid_ = tile_grid_of(forward_);
  const float* zeros_;
};

void run_winograd_weight(const Conv2dShape& s, const Group& g, const TapSum& forward,
                         const float* dy, float* dw) {
  const int64_t tiles = tile_grid_of(forward).count(s.N), C = g.C, K = g.K;
  constexpr int64_t most_splits = 16, most_floats = 1 << 20, least_tiles = 128, few = 8;
  const int64_t possible =
      std::min({most_splits, most_floats / (points * K * C), tiles / least_tiles});
  const bool split = possible >= few;
  const int64_t splits = split ? possible : 1;
  // What is transformed stays in the second cache of a thread, or in the third of all.
  const int64_t chunk_floats = split ? 96 << 10 : 2 << 20;
  const int64_t fits = std::clamp<int64_t>(chunk_floats / (points * (C + K)), 24, 256);
  const int64_t part = (tiles + splits - 1) / splits, chunks = (part + fits - 1) / fits;
  const int64_t size = (part + chunks - 1) / chunks;
  thread_local Scratch sum_scratch;
  float* sums = sum_scratch.floats(splits * points * K * C);
  const TileSums tile_sums(s, g, forward, dy);
  parallel_tasks(splits, [&](int64_t i) {
    tile_sums.add(tiles * i / splits, tiles * (i + 1) / splits, size, sums + i * points * K * C);
  });
  parallel_for(K, 4, [&](int64_t first, int64_t last) {
    for (int64_t k = first; k < last; ++k) store_weights(K, C, k, splits, sums, dw + g.w);
  });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace fettle
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fettle {

HWY_EXPORT(run_winograd_weight);

bool winograd_weight_wins(const TapSum& forward) {
  return suits_winograd(forward) && tile_grid_of(forward).count(forward.N) >= 48;
}

void winograd_backward_weight(const Conv2dShape& shape, const Group& group, const TapSum& forward,
                              const float* dy, float* dw) {
  HWY_DYNAMIC_DISPATCH(run_winograd_weight)(shape, group, forward, dy, dw);
}

}  // namespace fettle
#endif  // HWY_ONCE
