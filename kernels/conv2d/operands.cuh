// Every direction of a convolution is a matrix product that is never written down:
//
//   out[m, n] = sum over k of A[m, k] * B[n, k]
//
//                     m              n          k              A            B
//   forward           pixel (n,p,q)  output k   (r,s,c)        x, gathered  w
//   backward input    pixel (n,h,w)  input c    (r,s,k)        dy, gathered w, transposed
//                     of a phase                of its taps
//   backward weight   output k       (r,s,c)    pixel (n,p,q)  dy           x, gathered
//
// An operand says where element (row, k) lies, or that it is a zero of the padding. What follows
// from the row alone and from k alone is worked out apart, so that a loader does each once. A group
// is a matrix product of its own, and of backward input so is every phase (phases.h). Rungs 2 to 5
// compute any of the three with the same code, of floats or of bf16.
#pragma once

#include <type_traits>

#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/phases.h"
#include "kernels/cu.h"
#include "kernels/divider.h"

namespace fettle {

/// Conv2dShape in 32 bits, with what divides indices on the way.
struct GemmShape {
  int N, H, W, C, K, R, S, P, Q, Cg, Kg;
  int stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
  Divider by_Q, by_P, by_Cg, by_Kg, by_S, by_groups;

  explicit GemmShape(const Conv2dShape& s)
      : N(static_cast<int>(s.N)),
        H(static_cast<int>(s.H)),
        W(static_cast<int>(s.W)),
        C(static_cast<int>(s.C)),
        K(static_cast<int>(s.K)),
        R(static_cast<int>(s.R)),
        S(static_cast<int>(s.S)),
        P(static_cast<int>(s.P)),
        Q(static_cast<int>(s.Q)),
        Cg(static_cast<int>(s.C / s.groups)),
        Kg(static_cast<int>(s.K / s.groups)),
        stride_h(static_cast<int>(s.stride_h)),
        stride_w(static_cast<int>(s.stride_w)),
        dilation_h(static_cast<int>(s.dilation_h)),
        dilation_w(static_cast<int>(s.dilation_w)),
        pad_top(static_cast<int>(s.pad_top)),
        pad_left(static_cast<int>(s.pad_left)),
        by_Q(s.Q),
        by_P(s.P),
        by_Cg(s.C / s.groups),
        by_Kg(s.K / s.groups),
        by_S(s.S),
        by_groups(s.groups) {}
};

/// Rounds V floats in shared memory to tf32, where they lie.
template <int V>
__device__ __forceinline__ void round_to_tf32(float* at) {
  auto values = load_vec<V>(at);
#pragma unroll
  for (int e = 0; e < V; ++e) values[e] = float_of(to_tf32(values[e]));
  store_vec(at, values);
}

__device__ __forceinline__ int min_of(int a, int b) {
  return a < b ? a : b;
}

/// A place in [pictures, rows, columns].
struct PixelIndex {
  int n, row, column;
};
__device__ __forceinline__ PixelIndex pixel_index(int i, const Divider& by_columns,
                                                  const Divider& by_rows) {
  const int line = by_columns.quotient(i), n = by_rows.quotient(line);
  return {n, by_rows.remainder(line, n), by_columns.remainder(i, line)};
}

/// A place in [R, S, channels].
struct TapIndex {
  int r, s, channel;
};
__device__ __forceinline__ TapIndex tap_index(int i, const Divider& by_channels,
                                              const Divider& by_S) {
  const int tap = by_channels.quotient(i), r = by_S.quotient(tap);
  return {r, by_S.remainder(tap, r), by_channels.remainder(i, tap)};
}

__device__ __forceinline__ bool inside(int i, int extent) {
  return static_cast<unsigned>(i) < static_cast<unsigned>(extent);
}

/// x under the windows of the output pixels: A of forward.
template <class T>
struct WindowsOfInput {
  using Element = T;
  static constexpr bool along_k = true;  ///< neighbours in k are neighbours in memory
  GemmShape g;
  const T* x;

  __device__ const T* base() const { return x; }
  struct Row {
    const T* picture;  ///< nullptr past the last row
    int h, w;          ///< of the window's corner
  };
  struct Depth {
    int h, w, c;
    bool valid;
  };
  __device__ Row row(int m, int group) const {
    if (m >= g.N * g.P * g.Q) return {nullptr, 0, 0};
    const PixelIndex at = pixel_index(m, g.by_Q, g.by_P);
    return {x + int64_t{at.n} * g.H * g.W * g.C + group * g.Cg, at.row * g.stride_h - g.pad_top,
            at.column * g.stride_w - g.pad_left};
  }
  __device__ Depth depth(int k, int) const {
    const TapIndex tap = tap_index(k, g.by_Cg, g.by_S);
    return {tap.r * g.dilation_h, tap.s * g.dilation_w, tap.channel, k < g.R * g.S * g.Cg};
  }
  __device__ const T* element(const Row& row, const Depth& d) const {
    const int h = row.h + d.h, w = row.w + d.w;
    if (!row.picture || !d.valid || !inside(h, g.H) || !inside(w, g.W)) return nullptr;
    return row.picture + (int64_t{h} * g.W + w) * g.C + d.c;
  }
};

/// w as it lies: B of forward.
template <class T>
struct Weights {
  using Element = T;
  static constexpr bool along_k = true;
  GemmShape g;
  const T* w;

  __device__ const T* base() const { return w; }
  struct Row {
    const T* filter;
  };
  struct Depth {
    int k;
    bool valid;
  };
  __device__ Row row(int n, int group) const {
    return {n < g.Kg ? w + int64_t{group * g.Kg + n} * g.R * g.S * g.Cg : nullptr};
  }
  __device__ Depth depth(int k, int) const { return {k, k < g.R * g.S * g.Cg}; }
  __device__ const T* element(const Row& row, const Depth& d) const {
    return row.filter && d.valid ? row.filter + d.k : nullptr;
  }
};

/// dy of the windows that cover an input pixel: A of backward input. Its products are numbered
/// phase * groups + group.
template <class T>
struct OutputsOverInput {
  using Element = T;
  static constexpr bool along_k = true;
  GemmShape g;
  InputPhases phases;
  const T* dy;

  __device__ const T* base() const { return dy; }
  struct Row {
    const T* picture;
    int p, q;
  };
  struct Depth {
    int p, q, k;
    bool valid;
  };
  __device__ Row row(int m, int product) const {
    const int phase = g.by_groups.quotient(product), group = g.by_groups.remainder(product, phase);
    const PixelIndex at = pixel_index(m, phases.w.by_pixels, phases.h.by_pixels);
    if (at.n >= g.N) return {nullptr, 0, 0};
    return {dy + int64_t{at.n} * g.P * g.Q * g.K + group * g.Kg, at.row + phases.rows(phase).offset,
            at.column + phases.columns(phase).offset};
  }
  __device__ Depth depth(int k, int product) const {
    const int phase = g.by_groups.quotient(product);
    const TapIndex tap = tap_index(k, g.by_Kg, phases.columns(phase).by_taps);
    return {tap.r * phases.h.dilation, tap.s * phases.w.dilation, tap.channel,
            tap.r < phases.rows(phase).taps};
  }
  __device__ const T* element(const Row& row, const Depth& d) const {
    const int p = row.p - d.p, q = row.q - d.q;
    if (!row.picture || !d.valid || !inside(p, g.P) || !inside(q, g.Q)) return nullptr;
    return row.picture + (int64_t{p} * g.Q + q) * g.K + d.k;
  }

  /// Where a product's rows lie in the result, or -1; and what it sums over.
  __device__ int place(int m, int product) const {
    const PixelIndex at = pixel_index(m, phases.w.by_pixels, phases.h.by_pixels);
    return at.n < g.N ? phases.place(at.n, at.row, at.column, g.by_groups.quotient(product)) : -1;
  }
  __device__ int steps(int product) const {
    return phases.taps(g.by_groups.quotient(product)) * g.Kg;
  }
};

/// w seen from its input channels: B of backward input.
template <class T>
struct WeightsTransposed {
  using Element = T;
  static constexpr bool along_k = false;
  GemmShape g;
  InputPhases phases;
  const T* w;

  __device__ const T* base() const { return w; }
  struct Row {
    int c;
    bool valid;
  };
  struct Depth {
    const T* tap;
  };
  __device__ Row row(int n, int) const { return {n, n < g.Cg}; }
  __device__ Depth depth(int k, int product) const {
    const int phase = g.by_groups.quotient(product), group = g.by_groups.remainder(product, phase);
    const AxisPhase &rows = phases.rows(phase), &columns = phases.columns(phase);
    const TapIndex tap = tap_index(k, g.by_Kg, columns.by_taps);
    if (tap.r >= rows.taps) return {nullptr};
    const int r = rows.tap + tap.r * phases.h.tap_step, s = columns.tap + tap.s * phases.w.tap_step;
    return {w + ((int64_t{group * g.Kg + tap.channel} * g.R + r) * g.S + s) * g.Cg};
  }
  __device__ const T* element(const Row& row, const Depth& d) const {
    return row.valid && d.tap ? d.tap + row.c : nullptr;
  }
};

/// dy as it lies, a row an output channel: A of backward weight.
template <class T>
struct Outputs {
  using Element = T;
  static constexpr bool along_k = false;
  GemmShape g;
  const T* dy;

  __device__ const T* base() const { return dy; }
  struct Row {
    int k;
    bool valid;
  };
  struct Depth {
    const T* pixel;
  };
  __device__ Row row(int m, int group) const { return {group * g.Kg + m, m < g.Kg}; }
  __device__ Depth depth(int k, int) const {
    return {k < g.N * g.P * g.Q ? dy + int64_t{k} * g.K : nullptr};
  }
  __device__ const T* element(const Row& row, const Depth& d) const {
    return row.valid && d.pixel ? d.pixel + row.k : nullptr;
  }
};

/// x under tap (r,s) of each window: B of backward weight.
template <class T>
struct InputUnderTaps {
  using Element = T;
  static constexpr bool along_k = false;
  GemmShape g;
  const T* x;

  __device__ const T* base() const { return x; }
  struct Row {
    int h, w, c;
    bool valid;
  };
  struct Depth {
    const T* picture;
    int h, w;
  };
  __device__ Row row(int n, int group) const {
    const TapIndex tap = tap_index(n, g.by_Cg, g.by_S);
    return {tap.r * g.dilation_h - g.pad_top, tap.s * g.dilation_w - g.pad_left,
            group * g.Cg + tap.channel, n < g.R * g.S * g.Cg};
  }
  __device__ Depth depth(int k, int) const {
    if (k >= g.N * g.P * g.Q) return {nullptr, 0, 0};
    const PixelIndex at = pixel_index(k, g.by_Q, g.by_P);
    return {x + int64_t{at.n} * g.H * g.W * g.C, at.row * g.stride_h, at.column * g.stride_w};
  }
  __device__ const T* element(const Row& row, const Depth& d) const {
    const int h = row.h + d.h, w = row.w + d.w;
    if (!row.valid || !d.picture || !inside(h, g.H) || !inside(w, g.W)) return nullptr;
    return d.picture + (int64_t{h} * g.W + w) * g.C + row.c;
  }
};

/// Where the product goes: out[m, n] at group * group_step + m * width + n of `first`, or rounded
/// to bf16 in `rounded`.
struct GemmOutput {
  float* first = nullptr;
  bf16* rounded = nullptr;                 ///< if not nullptr, instead of `first`
  int64_t group_step = 0, split_step = 0;  ///< split_step: from one part of a cut sum to the next
  int width = 0;
  const float* bias = nullptr;  ///< of output channel group * N + n
  /// Laid out as the result, to be added to the sums before the activation, and to rounded ones as
  /// if two operations did it; may be the result itself.
  const float* addend = nullptr;
  const bf16* rounded_addend = nullptr;  ///< of `rounded`
  Epilogue epilogue = Epilogue::linear;
  bool vectors = false;  ///< four floats or eight bf16 may be stored at once

  static GemmOutput to(float* y, int64_t width, int64_t group_step) {
    return {.first = y,
            .group_step = group_step,
            .width = static_cast<int>(width),
            .vectors = width % 4 == 0 && group_step % 4 == 0 && in_vectors(y)};
  }
  static GemmOutput to(bf16* y, int64_t width, int64_t group_step) {
    return {.rounded = y,
            .group_step = group_step,
            .width = static_cast<int>(width),
            .vectors = width % 8 == 0 && group_step % 8 == 0 && in_vectors(y)};
  }

  /// The addend may be nullptr.
  void add(const float* values) {
    addend = values;
    vectors = vectors && in_vectors(values);
  }
  void add(const bf16* values) {
    rounded_addend = values;
    vectors = vectors && in_vectors(values);
  }

  __device__ bool adds() const { return addend || rounded_addend; }
  __device__ float activated(float value) const {
    return epilogue == Epilogue::relu && value < 0 ? 0.0f : value;
  }
  /// f(std::bool_constant) with whether there is an addend: asked once, not for each output.
  template <class F>
  __device__ __forceinline__ void by_adding(const F& f) const {
    adds() ? f(std::true_type{}) : f(std::false_type{});
  }
  /// What the addend is added to, or the result where there is none.
  template <bool Adds>
  __device__ __forceinline__ float finished(float sum) const {
    return Adds ? sum : activated(sum);
  }
  template <bool Adds>
  __device__ __forceinline__ float finished(int n, int N, int group, float sum) const {
    return finished<Adds>(bias ? sum + bias[group * N + n] : sum);
  }
  __device__ int64_t place(int m, int n, int group, int split) const {
    return split * split_step + group * group_step + int64_t{m} * width + n;
  }
  template <bool Adds>
  __device__ __forceinline__ void store(int m, int n, int N, int group, int split,
                                        float sum) const {
    sum = finished<Adds>(n, N, group, sum);
    const int64_t at = place(m, n, group, split);
    rounded ? store_one<Adds>(at, from_float<bf16>(sum)) : store_one<Adds>(at, sum);
  }
  /// Stores a finished value.
  template <bool Adds>
  __device__ __forceinline__ void store_one(int64_t at, float value) const {
    first[at] = Adds ? activated(value + addend[at]) : value;
  }
  template <bool Adds>
  __device__ __forceinline__ void store_one(int64_t at, bf16 value) const {
    if (Adds) value = from_float<bf16>(activated(to_float(value) + to_float(rounded_addend[at])));
    rounded[at] = value;
  }
  /// `count` neighbours that are finished, one by one, from shared memory.
  template <bool Adds, class E>
  __device__ __forceinline__ void store_some(int64_t at, const E* from, int count) const {
    for (int i = 0; i < count; ++i) store_one<Adds>(at + i, from[i]);
  }
  /// Stores neighbours that are finished, bf16 in pairs; `vectors` must allow it.
  template <bool Adds, int V>
  __device__ __forceinline__ void store_line(int64_t at, Vec<float, V> line) const {
    if constexpr (Adds) {
      const auto more = load_vec<V>(addend + at);
#pragma unroll
      for (int i = 0; i < V; ++i) line[i] = activated(line[i] + more[i]);
    }
    store_vec(first + at, line);
  }
  template <bool Adds, int V>
  __device__ __forceinline__ void store_line(int64_t at, Vec<uint32_t, V> line) const {
    if constexpr (Adds) {
      const auto more = load_vec<V>(reinterpret_cast<const uint32_t*>(rounded_addend + at));
#pragma unroll
      for (int i = 0; i < V; ++i) {
        const auto sum = [&](int shift) {
          const auto value = [&](uint32_t pair) { return float_of(pair >> shift << 16); };
          return activated(value(line[i]) + value(more[i]));
        };
        line[i] = bf16_pair(sum(0), sum(16));
      }
    }
    store_vec(reinterpret_cast<uint32_t*>(rounded + at), line);
  }
};

/// `Side` neighbouring lanes, 2 or 4, exchange their words: lane l ends with word l % Side of each,
/// in the order of the lanes.
template <int Side>
__device__ __forceinline__ void transpose_words(uint32_t (&w)[Side], int lane) {
#pragma unroll
  for (int distance = 1; distance < Side; distance *= 2) {
    const uint32_t upper = 0u - static_cast<uint32_t>(lane / distance % 2);  // a mask, no branch
#pragma unroll
    for (int i = 0; i < Side; ++i) {
      if (i & distance) continue;
      const uint32_t mine = (w[i] & upper) | (w[i + distance] & ~upper);
      const uint32_t theirs = __shfl_xor_sync(all_lanes, mine, distance);
      w[i] = (theirs & upper) | (w[i] & ~upper);
      w[i + distance] = (w[i + distance] & upper) | (theirs & ~upper);
    }
  }
}

/// Stores what a warp holds of 16 rows and `Words` times eight columns from n0 on, as
/// mma_bf16, mma_tf32 and wgmma leave it: lane 4 * g + t has sums(j, e), of row g + e / 2 * 8 and
/// column 8 * j + 2 * t + e % 2. `rows` says where this lane's two rows lie in the result, -1 for
/// nowhere; its columns end before N.
template <bool Adds, int Words, class Sums>
__device__ __forceinline__ void store_mma_sums(const GemmOutput& out, const int (&rows)[2], int n0,
                                               int N, int group, int split, int lane,
                                               const Sums& sums) {
  const int t = lane % 4;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int m = rows[half];
    // What depends on `out` alone is the same for all lanes.
    if (out.vectors && out.rounded) {
      constexpr int side = Words % 4 == 0 ? 4 : 2;
#pragma unroll
      for (int j = 0; j < Words; j += side) {
        uint32_t words[side];
#pragma unroll
        for (int i = 0; i < side; ++i) {
          const int n = n0 + (j + i) * 8 + 2 * t;
          const bool there = n < N;
          words[i] = bf16_pair(
              there ? out.template finished<Adds>(n, N, group, sums(j + i, half * 2)) : 0.0f,
              there ? out.template finished<Adds>(n + 1, N, group, sums(j + i, half * 2 + 1))
                    : 0.0f);
        }
        transpose_words(words, lane);
        const int n = n0 + (j + t % side) * 8 + t / side * 4;
        if (m < 0 || n >= N) continue;
        Vec<uint32_t, side> line;
#pragma unroll
        for (int i = 0; i < side; ++i) line[i] = words[i];
        out.template store_line<Adds>(out.place(m, n, group, split), line);
      }
      continue;
    }
    if (out.vectors) {
#pragma unroll
      for (int j = 0; j < Words; ++j) {
        const int n = n0 + j * 8 + 2 * t;
        if (m < 0 || n >= N) continue;
        out.template store_line<Adds>(
            out.place(m, n, group, split),
            Vec<float, 2>{{out.template finished<Adds>(n, N, group, sums(j, half * 2)),
                           out.template finished<Adds>(n + 1, N, group, sums(j, half * 2 + 1))}});
      }
      continue;
    }
#pragma unroll
    for (int i = 0; i < Words * 2; ++i) {
      const int n = n0 + i / 2 * 8 + 2 * t + i % 2;
      if (m >= 0 && n < N)
        out.template store<Adds>(m, n, N, group, split, sums(i / 2, half * 2 + i % 2));
    }
  }
}

/// What a block of threads computes: the outputs from (m0, n0) on of one group and one part of k.
struct GemmBlock {
  int m0, n0, group, split, k_begin, k_end;
};

/// A matrix product M x N x K for each group, or for each group and phase (`groups` counts both);
/// the summed axis is cut into `splits` parts of `k_per_split`.
template <class OperandA, class OperandB>
struct Gemm {
  OperandA a;
  OperandB b;
  GemmOutput out;
  int M, N, K;
  int groups, splits, k_per_split;

  static constexpr bool in_phases = requires(const OperandA& operand) { operand.place(0, 0); };

  __device__ GemmBlock block(int tile_m, int tile_n) const {
    const int z = static_cast<int>(blockIdx.z), split = z % splits, k_begin = split * k_per_split;
    int steps = K;
    if constexpr (in_phases) steps = a.steps(z / splits);
    return {static_cast<int>(blockIdx.x) * tile_m,
            static_cast<int>(blockIdx.y) * tile_n,
            z / splits,
            split,
            k_begin,
            min_of(k_begin + k_per_split, steps)};
  }
  /// Which row of the result is row m of the block's product; -1 if none.
  __device__ int place(const GemmBlock& block, int m) const {
    if constexpr (in_phases) {
      return a.place(m, block.group);
    } else {
      return m < M ? m : -1;
    }
  }
  /// The group that the block's product belongs to.
  __device__ int group(const GemmBlock& block) const {
    if constexpr (in_phases) {
      return a.g.by_groups.remainder(block.group, a.g.by_groups.quotient(block.group));
    } else {
      return block.group;
    }
  }
  /// Stores the sum of column n there, if there is such an output.
  template <bool Adds>
  __device__ __forceinline__ void store(const GemmBlock& block, int place, int n, float sum) const {
    if (place >= 0 && n < N) out.template store<Adds>(place, n, N, group(block), block.split, sum);
  }
};

}  // namespace fettle
