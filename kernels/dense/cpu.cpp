// The weight matrix is large and used once a step, so each direction reads it once, in its own
// order, and cuts the work along the axis in which w is contiguous (C), forward also along K. Rows
// of w lie far apart: backward copies a block of a KiB or more of each into panels, in which the
// register tile runs.
#include <algorithm>

#include "kernels/dense/dense.h"
#include "kernels/divide.h"
#include "kernels/parallel.h"
#include "kernels/scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/dense/cpu.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "kernels/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fettle {
namespace HWY_NAMESPACE {
namespace {

// Forward: dot products along C. A tile of 4 x 4 keeps 16 vectors of partial sums; without vectors
// small tiles take less room.
constexpr int tile_n = HWY_TARGET == HWY_SCALAR ? 1 : 4, tile_k = tile_n;

/// sums[n*ld + k] += sum over c in [0, depth) of x[n*C + c] * w[k*C + c]
template <int TN, int TK>
void dot_tile(int64_t depth, int64_t C, const float* HWY_RESTRICT x, const float* HWY_RESTRICT w,
              int64_t ld, float* HWY_RESTRICT sums) {
  Vec partial[TN][TK];
#pragma GCC unroll 4
  for (int n = 0; n < TN; ++n) {
#pragma GCC unroll 4
    for (int k = 0; k < TK; ++k) partial[n][k] = hn::Zero(lanes_tag);
  }
  const auto add_products = [&](int64_t c, const auto& load_at) {
    Vec rows[TK];
#pragma GCC unroll 4
    for (int k = 0; k < TK; ++k) rows[k] = load_at(w + k * C + c);
#pragma GCC unroll 4
    for (int n = 0; n < TN; ++n) {
      const Vec value = load_at(x + n * C + c);
#pragma GCC unroll 4
      for (int k = 0; k < TK; ++k) partial[n][k] = hn::MulAdd(value, rows[k], partial[n][k]);
    }
  };
  const int64_t whole = depth / L * L;
  for (int64_t c = 0; c < whole; c += L)
    add_products(c, [](const float* p) { return hn::LoadU(lanes_tag, p); });
  if (whole < depth) add_products(whole, [&](const float* p) { return load(p, depth - whole); });
#pragma GCC unroll 4
  for (int n = 0; n < TN; ++n) {
#pragma GCC unroll 4
    for (int k = 0; k < TK; ++k)
      sums[n * ld + k] += hn::GetLane(hn::SumOfLanes(lanes_tag, partial[n][k]));
  }
}

/// One block of the depth for some outputs: sums[:, k0:k1] = x[:, c0:c1] * w[k0:k1, c0:c1]^T.
void dot_block(const DenseShape& s, int64_t c0, int64_t c1, int64_t k0, int64_t k1, const float* x,
               const float* w, float* sums) {
  for (int64_t n = 0; n < s.N; ++n) std::fill(sums + n * s.K + k0, sums + n * s.K + k1, 0.0f);
  for_each_tile(k1 - k0, tile_k, [&](int64_t first, int64_t ks) {
    const int64_t k = k0 + first;
    for_each_tile(s.N, tile_n, [&](int64_t n, int64_t ns) {
      with_count<tile_k>(ks, [&]<int TK>() {
        with_count<tile_n>(ns, [&]<int TN>() {
          dot_tile<TN, TK>(c1 - c0, s.C, x + n * s.C + c0, w + k * s.C + c0, s.K,
                           sums + n * s.K + k);
        });
      });
    });
  });
}

constexpr int64_t panel_columns = max_vectors * L;
constexpr int64_t depth_at_once = 128;  // whose copy stays in the second cache

/// b[t*C + c] for t in [0, depth), c in [c0, c1) as panels [panel][t][column], zeros beyond c1.
void copy_panels(const float* b, int64_t depth, int64_t C, int64_t c0, int64_t c1, float* to) {
  for (int64_t t = 0; t < depth; ++t) {
    for (int64_t c = c0; c < c1; c += panel_columns) {
      float* panel = to + (c - c0) * depth + t * panel_columns;
      for (int64_t v = 0; v < panel_columns; v += L)
        hn::StoreU(load(b + t * C + c + v, c1 - c - v), lanes_tag, panel + v);
    }
  }
}

/// out[m*C + c] = sum over t of a[m*row + t*step] * b[t*C + c] for c in [c0, c1).
void outer_block(int64_t rows, int64_t depth, const float* a, int64_t row, int64_t step,
                 const float* b, int64_t C, int64_t c0, int64_t c1, float* out) {
  const int64_t panels = ceil_div(c1 - c0, panel_columns);
  thread_local Scratch scratch;
  float* copy = scratch.floats(panels * panel_columns * std::min(depth, depth_at_once));
  for (int64_t t = 0; t < depth; t += depth_at_once) {
    const int64_t count = std::min(depth_at_once, depth - t);
    copy_panels(b + t * C, count, C, c0, c1, copy);
    for_each_tile(rows, max_rows(max_vectors), [&](int64_t m, int64_t ms) {
      with_count<max_rows(max_vectors)>(ms, [&]<int M>() {
        for (int64_t c = c0; c < c1; c += panel_columns) {
          const int64_t columns = std::min(panel_columns, c1 - c);
          with_count<max_vectors>(ceil_div(columns, L), [&]<int V>() {
            Tile<M, V> tile;
            tile.clear();
            tile.accumulate(count, a + m * row + t * step, row, step, copy + (c - c0) * count,
                            panel_columns);
            t == 0 ? tile.store(out + m * C + c, C, columns)
                   : tile.add_to(out + m * C + c, C, columns);
          });
        }
      });
    });
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace fettle
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fettle {

HWY_EXPORT(dot_block);
HWY_EXPORT(outer_block);

namespace {
// Of C and of K a forward task: its rows of x stay in the cache.
constexpr int64_t depth_block = 2048, output_block = 64;

/// Columns of C a backward task: enough tasks for many cores, of a KiB to four.
int64_t column_block(int64_t C) {
  return std::clamp<int64_t>(C / 16 / 64 * 64, 256, 1024);
}
}  // namespace

void dense_forward(Cpu, const DenseShape& s, const float* x, const float* w, const float* bias,
                   Epilogue epilogue, float* y) {
  const int64_t blocks = std::max<int64_t>(1, ceil_div(s.C, depth_block));
  const int64_t parts = ceil_div(s.K, output_block);
  thread_local Scratch scratch;
  float* sums = scratch.floats(blocks * s.N * s.K);
  const auto dot = HWY_DYNAMIC_DISPATCH(dot_block);
  parallel_tasks(parts * blocks, [&](int64_t task) {
    const int64_t c = task % blocks * depth_block, k = task / blocks * output_block;
    dot(s, c, std::min(s.C, c + depth_block), k, std::min(s.K, k + output_block), x, w,
        sums + task % blocks * s.N * s.K);
  });
  parallel_for(s.N * s.K, 1024, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      float total = bias ? bias[i % s.K] : 0.0f;
      for (int64_t block = 0; block < blocks; ++block) total += sums[block * s.N * s.K + i];
      y[i] = epilogue == Epilogue::relu ? std::max(total, 0.0f) : total;
    }
  });
}

void dense_backward_input(Cpu, const DenseShape& s, const float* dy, const float* w, float* dx) {
  const auto outer = HWY_DYNAMIC_DISPATCH(outer_block);
  parallel_for(s.C, column_block(s.C), [&](int64_t begin, int64_t end) {
    outer(s.N, s.K, dy, s.K, 1, w, s.C, begin, end, dx);
  });
}

void dense_backward_weight(Cpu, const DenseShape& s, const float* dy, const float* x, float* dw) {
  const auto outer = HWY_DYNAMIC_DISPATCH(outer_block);
  parallel_for(s.C, column_block(s.C), [&](int64_t begin, int64_t end) {
    outer(s.K, s.N, dy, 1, s.K, x, s.C, begin, end, dw);
  });
}

}  // namespace fettle
#endif  // HWY_ONCE
