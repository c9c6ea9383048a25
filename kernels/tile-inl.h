// The register tile under every matrix-like CPU kernel: M rows by V vectors of sums that stay in
// registers while the depth runs. Per depth step it loads V vectors of b and M scalars of a, and
// does M*V fused multiply-adds: with 24 sums in flight both FMA units of a core stay busy.
//
// Goto, van de Geijn: "Anatomy of high-performance matrix multiplication", ACM TOMS 34, 2008.
// Included once for every instruction set (see hwy/foreach_target.h), hence the toggling guard.
#if defined(FETTLE_KERNELS_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FETTLE_KERNELS_TILE_INL_H_
#undef FETTLE_KERNELS_TILE_INL_H_
#else
#define FETTLE_KERNELS_TILE_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include "hwy/highway.h"
#include "kernels/divide.h"
#include "kernels/simd-inl.h"
#include "kernels/tiles.h"

HWY_BEFORE_NAMESPACE();
namespace fettle {
namespace HWY_NAMESPACE {
// 32 vector registers carry 24 sums (AVX-512, NEON), 16 carry 12. Without vectors no tile is quick,
// and few take less room in the program.
#if HWY_TARGET <= HWY_AVX3 || HWY_TARGET == HWY_NEON
inline constexpr int max_vectors = 4;
constexpr int max_rows(int vectors) {
  return vectors == 1 ? 14 : 24 / vectors;
}
#elif HWY_TARGET == HWY_SCALAR
inline constexpr int max_vectors = 2;
constexpr int max_rows(int) {
  return 2;
}
#else
inline constexpr int max_vectors = 2;
constexpr int max_rows(int vectors) {
  return vectors == 1 ? 10 : 12 / vectors;
}
#endif

/// v, in a register. Else the compiler may load it again for each of its uses, and loads are what
/// low tiles have most of. It goes by value: of an element of an array, taken by reference, every
/// value would be stored as well.
HWY_INLINE Vec in_register(Vec v) {
#if HWY_ARCH_X86 && HWY_TARGET != HWY_SCALAR
  asm("" : "+v"(v.raw));
#endif
  return v;
}

/// Steps of the depth between two prefetches: what a line holds of a row of a.
inline constexpr int64_t stretch = 16;
inline int64_t stretches(int64_t depth) {
  return ceil_div(depth, stretch);
}

/// Parts of a depth that begin so many floats apart in a and in b.
struct Runs {
  int64_t count = 1, a = 0, b = 0;
};

/// sums[m][v*L + l] = sum over t of a[m*row + t*step] * b[t*b_step + v*L + l]
template <int M, int V>
struct Tile {
  Vec sums[M][V];

  HWY_INLINE void clear() {
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m) {
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) sums[m][v] = hn::Zero(lanes_tag);
    }
  }

  HWY_INLINE void accumulate(int64_t depth, const float* HWY_RESTRICT a, int64_t row, int64_t step,
                             const float* HWY_RESTRICT b, int64_t b_step) {
    Vec registers[M][V];
    copy(sums, registers);
    add_steps(depth, a, row, step, b, b_step, registers);
    copy(registers, sums);
  }

  /// Calls on_the_way(t) before the first step t of each stretch: it may prefetch what comes after
  /// this tile.
  template <class F>
  HWY_INLINE void accumulate(int64_t depth, const float* HWY_RESTRICT a, int64_t row, int64_t step,
                             const float* HWY_RESTRICT b, int64_t b_step, const F& on_the_way) {
    accumulate_runs({}, {}, depth, a, row, step, b, b_step, on_the_way);
  }

  /// The depth in runs of runs; on_the_way(t) as above, in each of them.
  template <class F>
  HWY_INLINE void accumulate_runs(const Runs& outer, const Runs& inner, int64_t depth,
                                  const float* HWY_RESTRICT a, int64_t row, int64_t step,
                                  const float* HWY_RESTRICT b, int64_t b_step,
                                  const F& on_the_way) {
    Vec registers[M][V];
    copy(sums, registers);
    for (int64_t o = 0; o < outer.count; ++o) {
      for (int64_t i = 0; i < inner.count; ++i) {
        const float* HWY_RESTRICT at = a + o * outer.a + i * inner.a;
        const float* HWY_RESTRICT bt = b + o * outer.b + i * inner.b;
        for (int64_t t = 0; t < depth; t += stretch) {
          on_the_way(t);
          add_steps(std::min(stretch, depth - t), at + t * step, row, step, bt + t * b_step, b_step,
                    registers);
        }
      }
    }
    copy(registers, sums);
  }

  /// Takes up whole vectors that store() left.
  HWY_INLINE void load(const float* HWY_RESTRICT c, int64_t row) {
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m) {
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) sums[m][v] = hn::LoadU(lanes_tag, c + m * row + v * L);
    }
  }

  /// Adds the first `columns` columns of c (rows `row` floats apart) to the tile, whose last vector
  /// alone may have less than all of them.
  HWY_INLINE void add_from(const float* HWY_RESTRICT c, int64_t row, int64_t columns) {
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m) {
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        const float* at = c + m * row + v * L;
        sums[m][v] =
            hn::Add(v < V - 1 ? hn::LoadU(lanes_tag, at) : HWY_NAMESPACE::load(at, columns - v * L),
                    sums[m][v]);
      }
    }
  }

  /// Writes those columns of the tile to c.
  HWY_INLINE void store(float* HWY_RESTRICT c, int64_t row, int64_t columns) const {
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m) {
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        float* at = c + m * row + v * L;
        if (v < V - 1) {
          hn::StoreU(sums[m][v], lanes_tag, at);
        } else {
          HWY_NAMESPACE::store(sums[m][v], at, columns - v * L);
        }
      }
    }
  }

  /// Adds those columns of the tile to c.
  HWY_INLINE void add_to(float* HWY_RESTRICT c, int64_t row, int64_t columns) {
    add_from(c, row, columns);
    store(c, row, columns);
  }

 private:
  // The compiler keeps a copy in registers even where the tile itself lies in memory.
  HWY_INLINE static void copy(const Vec (&from)[M][V], Vec (&to)[M][V]) {
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m) {
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) to[m][v] = from[m][v];
    }
  }

  HWY_INLINE static void add_steps(int64_t depth, const float* HWY_RESTRICT a, int64_t row,
                                   int64_t step, const float* HWY_RESTRICT b, int64_t b_step,
                                   Vec (&registers)[M][V]) {
    for (int64_t t = 0; t < depth; ++t) {
      Vec columns[V];
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) columns[v] = in_register(hn::LoadU(lanes_tag, b + v * L));
#pragma GCC unroll 16
      for (int m = 0; m < M; ++m) {
        const Vec scalar = in_register(hn::Set(lanes_tag, a[m * row]));
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v)
          registers[m][v] = hn::MulAdd(scalar, columns[v], registers[m][v]);
      }
      a += step;
      b += b_step;
    }
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace fettle
HWY_AFTER_NAMESPACE();

#endif  // include guard
