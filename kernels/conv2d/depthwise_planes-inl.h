// Depthwise convolutions of any taps, and of several channels in or out for each group, which lie
// between those of one kind. For each box of output pixels the input that it needs is copied once
// into planes, one vector of groups a pixel, with its zero border and zeros in the lanes past the
// last group, so that the loops over them have no special cases. Included once for every
// instruction set (see hwy/foreach_target.h), hence the toggling guard.
#if defined(FETTLE_CONV2D_DEPTHWISE_PLANES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FETTLE_CONV2D_DEPTHWISE_PLANES_INL_H_
#undef FETTLE_CONV2D_DEPTHWISE_PLANES_INL_H_
#else
#define FETTLE_CONV2D_DEPTHWISE_PLANES_INL_H_
#endif

#include <algorithm>

#include "kernels/conv2d/depthwise_rows-inl.h"  // max_pixels
#include "kernels/conv2d/tap_sum.h"
#include "kernels/scratch.h"
#include "kernels/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fettle {
namespace HWY_NAMESPACE {
namespace {

using Offsets = SmallVector<int64_t, 49>;
constexpr int max_taps = HWY_TARGET == HWY_SCALAR ? 1 : 5;  // sums of a tile of taps

/// Lane i is p[i*step] for i < count, else 0.
HWY_NOINLINE Vec load_apart(const float* p, int64_t step, int64_t count) {
  alignas(64) float lanes[L] = {};
  for (int64_t i = 0; i < std::min(L, count); ++i) lanes[i] = p[i * step];
  return hn::Load(lanes_tag, lanes);
}
HWY_INLINE Vec load_strided(const float* p, int64_t step, int64_t count) {
  return step == 1 ? load(p, count) : load_apart(p, step, count);
}

/// p[i*step] = lane i for i < count.
HWY_NOINLINE void store_apart(Vec v, float* p, int64_t step, int64_t count) {
  alignas(64) float lanes[L];
  hn::Store(v, lanes_tag, lanes);
  for (int64_t i = 0; i < std::min(L, count); ++i) p[i * step] = lanes[i];
}
HWY_INLINE void store_strided(Vec v, float* p, int64_t step, int64_t count) {
  step == 1 ? store(v, p, count) : store_apart(v, p, step, count);
}

/// The planes of a box, [channel of a group][vector of groups][row][column][L].
struct Planes {
  Planes(const TapSum& sum, int64_t groups)
      : groups(groups),
        vectors(ceil_div(groups, L)),
        window(window_of(sum.taps)),
        boxes(cut(sum.N, sum.P, sum.Q, sum.C * vectors * L, sum.step_h, sum.step_w, window)),
        row((boxes.columns - 1) * sum.step_w * L + window.w * L),
        plane(((boxes.rows - 1) * sum.step_h + window.h) * row) {
    for (const Tap& tap : sum.taps) {
      for (int64_t c = 0; c < sum.C; ++c) {
        offsets.push_back(c * vectors * plane + (tap.h - window.h0) * row +
                          (tap.w - window.w0) * L);
      }
    }
  }
  int64_t depth() const { return static_cast<int64_t>(offsets.size()); }

  int64_t groups, vectors;
  Window window;
  Boxes boxes;
  int64_t row, plane;  // floats from a row and from a plane to the next
  Offsets offsets;     // from a pixel to the terms of its sum: [tap][channel of a group]
};

/// Fills the planes of a box, in memory that the thread's next call takes over.
const float* copy_planes(const TapSum& sum, const Planes& planes, const Box& box) {
  thread_local Scratch scratch;
  float* const first = scratch.floats(sum.C * planes.vectors * planes.plane);
  const Window& window = planes.window;
  const int64_t rows = (box.p1 - box.p0 - 1) * sum.step_h + window.h;
  const int64_t columns = (box.q1 - box.q0 - 1) * sum.step_w + window.w;
  const int64_t h0 = box.p0 * sum.step_h + window.h0, w0 = box.q0 * sum.step_w + window.w0;
  const int64_t left = std::clamp<int64_t>(-w0, 0, columns);
  const int64_t right = std::clamp<int64_t>(sum.W - w0, left, columns);
  for (int64_t h = h0; h < h0 + rows; ++h) {
    const bool outside = h < 0 || h >= sum.H || left == right;
    for (int64_t c = 0; c < sum.C; ++c) {
      for (int64_t v = 0; v < planes.vectors; ++v) {
        float* to = first + (c * planes.vectors + v) * planes.plane + (h - h0) * planes.row;
        if (outside) {
          std::fill_n(to, columns * L, 0.0f);
          continue;
        }
        std::fill_n(to, left * L, 0.0f);
        const float* from =
            sum.in + ((box.n * sum.H + h) * sum.W + w0 + left) * sum.in_pixel + v * L * sum.C + c;
        for (int64_t w = left; w < right; ++w, from += sum.in_pixel) {
          const Vec pixel = load_strided(from, sum.C, planes.groups - v * L);
          hn::Store(pixel, lanes_tag, to + w * L);
        }
        std::fill_n(to + right * L, (columns - right) * L, 0.0f);
      }
    }
  }
  return first;
}

/// One output of each group in a vector, of M pixels.
template <int M>
HWY_INLINE void pixel_tile(const TapSum& sum, const Offsets& offsets, const float* in,
                           const float* weights, Vec bias, float* out, int64_t count) {
  const int64_t step = sum.step_w * L;
  Vec sums[M];
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m) sums[m] = bias;
  for (const int64_t offset : offsets) {
    const Vec weight = hn::Load(lanes_tag, weights);
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) {
      sums[m] = hn::MulAdd(hn::Load(lanes_tag, in + offset + m * step), weight, sums[m]);
    }
    weights += L;
  }
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m) {
    if (sum.epilogue == Epilogue::relu) sums[m] = hn::Max(sums[m], hn::Zero(lanes_tag));
    store_strided(sums[m], out + m * sum.out_pixel, sum.K, count);
  }
}

/// The outputs of a box; weights are [vector of groups][output of a group][depth][L].
void box_sum(const TapSum& sum, const Planes& planes, const Box& box, const float* weights) {
  const float* in = copy_planes(sum, planes, box);
  for (int64_t p = box.p0; p < box.p1; ++p, in += sum.step_h * planes.row) {
    float* const row = sum.out + box.n * sum.out_picture + p * sum.out_row;
    for (int64_t i = 0; i < planes.vectors * sum.K; ++i) {
      const int64_t v = i / sum.K, count = planes.groups - v * L;
      const int64_t k = v * L * sum.K + i % sum.K;
      const Vec bias = sum.bias ? load_strided(sum.bias + k, sum.K, count) : hn::Zero(lanes_tag);
      for_each_tile(box.q1 - box.q0, max_pixels, [&](int64_t q, int64_t pixels) {
        with_count<max_pixels>(pixels, [&]<int M>() {
          pixel_tile<M>(sum, planes.offsets, in + v * planes.plane + q * sum.step_w * L,
                        weights + i * planes.depth() * L, bias,
                        row + (box.q0 + q) * sum.out_pixel + k, count);
        });
      });
    }
  }
}

/// sums[t] += sum over the box's pixels of in(pixel, offsets[t]) * dy(pixel), for M terms and a
/// vector of groups.
template <int M>
HWY_INLINE void tap_tile(const TapSum& sum, const Planes& planes, const Box& box, const float* in,
                         const int64_t* offsets, const float* dy, int64_t count, float* sums) {
  Vec tile[M];
#pragma GCC unroll 9
  for (int m = 0; m < M; ++m) tile[m] = hn::Zero(lanes_tag);
  for (int64_t p = box.p0; p < box.p1; ++p, in += sum.step_h * planes.row) {
    const float* gradient = dy + box.n * sum.out_picture + p * sum.out_row + box.q0 * sum.out_pixel;
    const float* pixel = in;
    for (int64_t q = box.q0; q < box.q1; ++q, pixel += sum.step_w * L) {
      const Vec factor = load_strided(gradient, sum.K, count);
#pragma GCC unroll 9
      for (int m = 0; m < M; ++m) {
        tile[m] = hn::MulAdd(hn::Load(lanes_tag, pixel + offsets[m]), factor, tile[m]);
      }
      gradient += sum.out_pixel;
    }
  }
#pragma GCC unroll 9
  for (int m = 0; m < M; ++m) {
    hn::Store(hn::Add(hn::Load(lanes_tag, sums + m * L), tile[m]), lanes_tag, sums + m * L);
  }
}

/// Adds a box's part of the weights' gradient to sums [vector of groups][output][depth][L].
void box_weight(const TapSum& sum, const Planes& planes, const Box& box, const float* dy,
                float* sums) {
  const float* in = copy_planes(sum, planes, box);
  for (int64_t i = 0; i < planes.vectors * sum.K; ++i) {
    const int64_t v = i / sum.K;
    for_each_tile(planes.depth(), max_taps, [&](int64_t first, int64_t terms) {
      with_count<max_taps>(terms, [&]<int M>() {
        tap_tile<M>(sum, planes, box, in + v * planes.plane, planes.offsets.begin() + first,
                    dy + v * L * sum.K + i % sum.K, planes.groups - v * L,
                    sums + (i * planes.depth() + first) * L);
      });
    });
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace fettle
HWY_AFTER_NAMESPACE();

#endif  // include guard
