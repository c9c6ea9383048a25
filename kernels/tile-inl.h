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

#include <cstdint>

#include "hwy/highway.h"
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
  return 4;
}
#else
inline constexpr int max_vectors = 2;
constexpr int max_rows(int vectors) {
  return vectors == 1 ? 10 : 12 / vectors;
}
#endif

/// Keeps v in a register. Else the compiler may load it again for each of its uses, and loads are
/// what low tiles have most of.
HWY_INLINE void keep_in_register([[maybe_unused]] Vec& v) {
#if HWY_ARCH_X86 && HWY_TARGET != HWY_SCALAR
  asm("" : "+v"(v.raw));
#endif
}

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
    accumulate_runs(1, depth, a, row, step, 0, b, b_step, 0);
  }

  /// The depth in `runs` runs, which begin a_run floats apart in a and b_run in b.
  HWY_INLINE void accumulate_runs(int64_t runs, int64_t depth, const float* HWY_RESTRICT a,
                                  int64_t row, int64_t step, int64_t a_run,
                                  const float* HWY_RESTRICT b, int64_t b_step, int64_t b_run) {
    // Copies, which the compiler keeps in registers even where the tile itself lies in memory.
    Vec registers[M][V];
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m) {
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) registers[m][v] = sums[m][v];
    }
    for (int64_t run = 0; run < runs; ++run) {
      const float* HWY_RESTRICT at = a + run * a_run;
      const float* HWY_RESTRICT bt = b + run * b_run;
      for (int64_t t = 0; t < depth; ++t) {
        Vec columns[V];
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) {
          columns[v] = hn::LoadU(lanes_tag, bt + v * L);
          keep_in_register(columns[v]);
        }
#pragma GCC unroll 16
        for (int m = 0; m < M; ++m) {
          const Vec scalar = hn::Set(lanes_tag, at[m * row]);
#pragma GCC unroll 4
          for (int v = 0; v < V; ++v)
            registers[m][v] = hn::MulAdd(scalar, columns[v], registers[m][v]);
        }
        at += step;
        bt += b_step;
      }
    }
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m) {
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) sums[m][v] = registers[m][v];
    }
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
};

}  // namespace HWY_NAMESPACE
}  // namespace fettle
HWY_AFTER_NAMESPACE();

#endif  // include guard
