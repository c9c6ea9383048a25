// The boxes and panels of cpu_direct.cpp; a box's input is rounded while it is copied. One
// instruction multiplies two channels by 16 columns and adds both products to 16 sums, twice the
// work of an FMA.
#include "kernels/conv2d/cpu_bf16.h"

#if defined(__x86_64__)
#define FETTLE_BF16_INSTRUCTIONS 1
#include <hwy/base.h>
#include <immintrin.h>
#endif

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include "kernels/conv2d/cpu_box.h"
#include "kernels/divide.h"
#include "kernels/parallel.h"
#include "kernels/scratch.h"
#include "kernels/tiles.h"

namespace fettle {
namespace {

constexpr int64_t columns_of_vector = 16, most_vectors = 4;
constexpr int64_t panel_columns = most_vectors * columns_of_vector;

/// To the nearest, ties to even. Not for NaN.
uint16_t to_bf16(float x) {
  const auto bits = std::bit_cast<uint32_t>(x);
  return static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

int64_t width_of(int64_t K, int64_t panel) {
  return std::min(panel_columns, whole_vectors(K - panel * panel_columns));
}

}  // namespace

bool has_bf16() {
#if defined(FETTLE_BF16_INSTRUCTIONS)
  static const bool has = __builtin_cpu_supports("avx512bf16") &&
                          __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  return has;
#else
  return false;
#endif
}

bool bf16_suits(const TapSum& sum) {
  return has_bf16() && sum.C % 2 == 0 && !sum.taps.empty();
}

int64_t bf16_packed_floats(const TapSum& sum) {
  return static_cast<int64_t>(sum.taps.size()) * (sum.C / 2) * whole_vectors(sum.K);
}

void bf16_pack(const TapSum& sum, float* packed) {
  constexpr int64_t run = 64;  // channels that keep both sides in the first cache
  const auto taps = static_cast<int64_t>(sum.taps.size());
  const int64_t panels = ceil_div(sum.K, panel_columns);
  parallel_tasks(panels * taps, [&](int64_t task) {
    const int64_t tap = task % taps, first = task / taps * panel_columns;
    const int64_t width = width_of(sum.K, task / taps), valid = std::min(width, sum.K - first);
    const float* from = sum.weights + sum.taps[tap].weight + first * sum.column;
    float* to = packed + first * taps * sum.C / 2 + tap * sum.C / 2 * width;
    for (int64_t c0 = 0; c0 < sum.C; c0 += run) {
      for (int64_t k = 0; k < width; ++k) {
        for (int64_t c = c0; c < std::min(sum.C, c0 + run); c += 2) {
          const float* w = from + c * sum.depth + k * sum.column;
          const uint32_t pair =
              k < valid ? to_bf16(w[0]) | uint32_t{to_bf16(w[sum.depth])} << 16 : 0;
          to[c / 2 * width + k] = std::bit_cast<float>(pair);
        }
      }
    }
  });
}

int64_t bf16_thread_floats(const TapSum& sum) {
  return most_block_floats(window_of(sum.taps), sum.step_w, sum.C) / 2 + most_lanes;
}

#if defined(FETTLE_BF16_INSTRUCTIONS)
#if HWY_COMPILER_GCC_ACTUAL
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // of its own header (GCC bug 105593)
#endif
HWY_PUSH_ATTRIBUTES("avx512f,avx512bw,avx512vl,avx512bf16")
namespace {

/// As Block, of bf16.
struct RoundedBlock {
  const uint16_t* first;
  int64_t row, pixel;
};

struct Target {
  float* first;
  const float* addend;  // laid out as what is written, or nullptr
  int64_t pixel, columns;
  const float* bias;  // or nullptr
  bool relu;
};

/// The mask of a vector's first `count` columns.
__mmask16 mask_of(int64_t count) {
  return count >= columns_of_vector
             ? 0xFFFF
             : static_cast<__mmask16>((1u << std::max<int64_t>(0, count)) - 1);
}

template <int M, int V>
void pixel_tile(const uint16_t* in, int64_t step, const Segments& segments, const float* weights,
                const Target& out) {
  __m512 sums[M][V];
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) sums[m][v] = _mm512_setzero_ps();
  }
  for (const Segment& segment : segments) {
    const uint16_t* a = in + segment.offset;
    for (int64_t t = 0; t < segment.length; t += 2, weights += V * columns_of_vector) {
      __m512bh columns[V];
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v)
        columns[v] = (__m512bh)_mm512_loadu_si512(weights + v * columns_of_vector);
#pragma GCC unroll 16
      for (int m = 0; m < M; ++m) {
        int pair;
        std::memcpy(&pair, a + m * step + t, sizeof pair);
        const auto pairs = (__m512bh)_mm512_set1_epi32(pair);
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) sums[m][v] = _mm512_dpbf16_ps(sums[m][v], pairs, columns[v]);
      }
    }
  }
  // Each question once a tile, not once a vector, of which there are many.
  __mmask16 masks[V];
#pragma GCC unroll 4
  for (int v = 0; v < V; ++v) masks[v] = mask_of(out.columns - v * columns_of_vector);
  if (out.bias) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      const __m512 bias = _mm512_maskz_loadu_ps(masks[v], out.bias + v * columns_of_vector);
#pragma GCC unroll 16
      for (int m = 0; m < M; ++m) sums[m][v] = _mm512_add_ps(sums[m][v], bias);
    }
  }
  if (out.addend) {
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m) {
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        const float* at = out.addend + m * out.pixel + v * columns_of_vector;
        sums[m][v] = _mm512_add_ps(sums[m][v], _mm512_maskz_loadu_ps(masks[v], at));
      }
    }
  }
  if (out.relu) {
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m) {
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) sums[m][v] = _mm512_max_ps(sums[m][v], _mm512_setzero_ps());
    }
  }
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v)
      _mm512_mask_storeu_ps(out.first + m * out.pixel + v * columns_of_vector, masks[v],
                            sums[m][v]);
  }
}

constexpr int most_rows(int vectors) {
  return vectors == 1 ? 14 : 24 / vectors;
}

/// `count` floats, rounded.
void round(const float* from, int64_t count, uint16_t* to) {
  for (int64_t i = 0; i < count; i += columns_of_vector) {
    const __mmask16 mask = mask_of(count - i);
    _mm256_mask_storeu_epi16(to + i, mask,
                             (__m256i)_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(mask, from + i)));
  }
}

/// `count` pixels of C channels, `stride` floats apart, rounded and side by side.
void round_pixels(const float* from, int64_t stride, int64_t count, int64_t C, uint16_t* to) {
  if (stride == C) return round(from, count * C, to);
  for (int64_t i = 0; i < count; ++i) round(from + i * stride, C, to + i * C);
}

/// The input under a box. Where each output pixel reads one of input, only those are taken, and the
/// sum's steps within the block become 1.
RoundedBlock rounded_block(const TapSum& sum, const Window& window, bool in_place, const Box& box,
                           Scratch& scratch) {
  const int64_t step_h = in_place ? 1 : sum.step_h, step_w = in_place ? 1 : sum.step_w;
  const int64_t rows = (box.p1 - box.p0 - 1) * step_h + window.h;
  const int64_t columns = (box.q1 - box.q0 - 1) * step_w + window.w;
  const int64_t h0 = box.p0 * sum.step_h + window.h0, w0 = box.q0 * sum.step_w + window.w0;
  const int64_t left = std::clamp<int64_t>(-w0, 0, columns);
  const int64_t right = in_place ? columns : std::clamp<int64_t>(sum.W - w0, left, columns);
  auto* block = reinterpret_cast<uint16_t*>(scratch.floats(rows * columns * sum.C / 2 + 1));
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t h = h0 + (in_place ? r * sum.step_h : r);
    uint16_t* to = block + r * columns * sum.C;
    if (h < 0 || h >= sum.H) {
      std::fill_n(to, columns * sum.C, uint16_t{0});
      continue;
    }
    const float* from = sum.in + ((box.n * sum.H + h) * sum.W + w0 + left) * sum.in_pixel;
    std::fill_n(to, left * sum.C, uint16_t{0});
    round_pixels(from, in_place ? sum.step_w * sum.in_pixel : sum.in_pixel, right - left, sum.C,
                 to + left * sum.C);
    std::fill_n(to + right * sum.C, (columns - right) * sum.C, uint16_t{0});
  }
  return {block, columns * sum.C * step_h, sum.C * step_w};
}

template <int V>
void box_panel(const TapSum& sum, const Box& box, const RoundedBlock& block,
               const Segments& segments, const float* weights, const Target& out) {
  for (int64_t p = box.p0; p < box.p1; ++p) {
    const uint16_t* row = block.first + (p - box.p0) * block.row;
    const int64_t out_row = box.n * sum.out_picture + p * sum.out_row;
    for_each_tile(box.q1 - box.q0, most_rows(V), [&](int64_t q, int64_t rows) {
      Target target = out;
      const int64_t offset = out_row + (box.q0 + q) * sum.out_pixel;
      target.first += offset;
      if (out.addend) target.addend += offset;
      with_count<most_rows(V)>(rows, [&]<int M>() {
        pixel_tile<M, V>(row + q * block.pixel, block.pixel, segments, weights, target);
      });
    });
  }
}

void run(TapSum sum, const float* packed) {
  const Window window = window_of(sum.taps);
  const bool in_place = is_in_place(sum, window);
  flatten(sum, window);
  const auto taps = static_cast<int64_t>(sum.taps.size());
  const int64_t panels = ceil_div(sum.K, panel_columns);
  const BoxTasks tasks(cut(sum.N, sum.P, sum.Q, sum.C, sum.step_h, sum.step_w, window), panels);
  parallel_tasks(tasks.count(), [&](int64_t task) {
    const Box box = tasks.box(task);
    thread_local Scratch scratch;
    const RoundedBlock block = rounded_block(sum, window, in_place, box, scratch);
    const int64_t columns = (box.q1 - box.q0 - 1) * sum.step_w + window.w;
    const Segments segments =
        segments_of(sum.taps, window, sum.C, {nullptr, columns * sum.C, sum.C});
    for (int64_t panel = tasks.first_panel(task); panel < tasks.end_panel(task); ++panel) {
      const int64_t first = panel * panel_columns;
      const Target out{sum.out + first,
                       sum.addend ? sum.addend + first : nullptr,
                       sum.out_pixel,
                       sum.K - first,
                       sum.bias ? sum.bias + first : nullptr,
                       sum.epilogue == Epilogue::relu};
      with_count<most_vectors>(width_of(sum.K, panel) / columns_of_vector, [&]<int V>() {
        box_panel<V>(sum, box, block, segments, packed + first * taps * sum.C / 2, out);
      });
    }
  });
}

}  // namespace
HWY_POP_ATTRIBUTES
#if HWY_COMPILER_GCC_ACTUAL
#pragma GCC diagnostic pop
#endif

void bf16_run(const TapSum& sum, const float* packed) {
  run(sum, packed);
}
#else
void bf16_run(const TapSum&, const float*) {}  // bf16_suits() is false
#endif

}  // namespace fettle
