// Words of Hopper's tensor cores (sm_90a): the four warps of a warpgroup multiply matrices that lie
// in shared memory, in the background. A part of kernels/cu.h.
#pragma once

#include "kernels/cu/hopper.h"

namespace fettle {

/// Whether what is being compiled can have these words: sm_90a, or the executor. Elsewhere a kernel
/// of them is not worth its compilation.
#if !defined(__CUDA_ARCH__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
inline constexpr bool has_wgmma = true;
#else
inline constexpr bool has_wgmma = false;
#endif

/// Where an operand of wgmma begins and how it lies in shared memory. PTX ISA, "Matrix Descriptor".
///
/// Along k (its lines are steps of k, 32 bytes a word): eight lines of one swizzle span lie
/// together, `stride` bytes from the next eight; `leading` means nothing. The next step of k is 32
/// bytes on. Along the rows (a line is one step of k, bf16 only): eight lines of one span of rows
/// lie together, `stride` bytes from the next eight steps of k, `leading` bytes from the next span
/// of rows. Without swizzle: eight lines of 16 bytes lie together; the next eight lines are
/// `stride` bytes on and the next 16 bytes of a line `leading`, or along the rows the other way
/// about.
__device__ __forceinline__ uint64_t wgmma_descriptor(const void* start, int leading, int stride,
                                                     Swizzle swizzle);

/// Before the first wgmma, and whenever its registers were touched since the last.
__device__ __forceinline__ void wgmma_fence();
/// Closes the group of this warp's wgmma so far.
__device__ __forceinline__ void wgmma_commit();
/// Waits until at most `Pending` of the last groups are under way. Only then may the sums of the
/// others be touched and their operands overwritten.
template <int Pending>
__device__ __forceinline__ void wgmma_wait();

/// d[64,N] = a[64,16] * b[N,16]^T (+ d where `add`) by a warpgroup, bf16 in and fp32 sums; N is 64,
/// 128, 192 or 256. Warp i of the four has rows 16i to 16i+15; with g = lane / 4 and t = lane % 4,
/// d[4j], ..., d[4j+3] are (g, 8j+2t), (g, 8j+2t+1), (g+8, 8j+2t), (g+8, 8j+2t+1).
/// PTX ISA, "wgmma.mma_async".
template <int N, bool AAlongK, bool BAlongK>
__device__ __forceinline__ void wgmma_bf16(float (&d)[N / 2], uint64_t a, uint64_t b, bool add);
/// d[64,N] = a[64,8] * b[N,8]^T (+ d) of tf32, both along k.
template <int N>
__device__ __forceinline__ void wgmma_tf32(float (&d)[N / 2], uint64_t a, uint64_t b, bool add);
/// The same with A in registers, which may not be overwritten before the wait: a[0], ..., a[3] are
/// (g, t), (g+8, t), (g, t+4), (g+8, t+4) of the warp's 16 rows, and their last 13 bits mean
/// nothing.
template <int N>
__device__ __forceinline__ void wgmma_tf32(float (&d)[N / 2], const uint32_t (&a)[4], uint64_t b,
                                           bool add);

// --------------------------------------------------------------------------------- what is behind

#if defined(__CUDACC__)

__device__ __forceinline__ uint64_t wgmma_descriptor(const void* start, int leading, int stride,
                                                     Swizzle swizzle) {
  const uint64_t mode = swizzle == Swizzle::none ? 0 : 4 - static_cast<int>(swizzle);
  return (shared_address(start) & 0x3FFFFu) >> 4 | static_cast<uint64_t>(leading >> 4) << 16 |
         static_cast<uint64_t>(stride >> 4) << 32 | mode << 62;
}

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

__device__ __forceinline__ void wgmma_fence() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
__device__ __forceinline__ void wgmma_commit() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
template <int Pending>
__device__ __forceinline__ void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(Pending) : "memory");
}

// Each sum is an operand of the instruction.
#define FETTLE_SUMS_8(i)                                                                      \
  "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]), "+f"(d[i + 5]), \
      "+f"(d[i + 6]), "+f"(d[i + 7])
#define FETTLE_SUMS_32(i) \
  FETTLE_SUMS_8(i), FETTLE_SUMS_8(i + 8), FETTLE_SUMS_8(i + 16), FETTLE_SUMS_8(i + 24)
#define FETTLE_SUMS_64 FETTLE_SUMS_32(0)
#define FETTLE_SUMS_128 FETTLE_SUMS_32(0), FETTLE_SUMS_32(32)
#define FETTLE_SUMS_192 FETTLE_SUMS_128, FETTLE_SUMS_32(64)
#define FETTLE_SUMS_256 FETTLE_SUMS_128, FETTLE_SUMS_32(64), FETTLE_SUMS_32(96)
#define FETTLE_PLACES_64                                                   \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
  "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define FETTLE_PLACES_128                                                            \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "           \
  "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, " \
  "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, " \
  "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define FETTLE_PLACES_192                                                            \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "           \
  "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, " \
  "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, " \
  "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, " \
  "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, " \
  "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95"
#define FETTLE_PLACES_256                                                                        \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "                       \
  "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "             \
  "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "             \
  "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "             \
  "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "             \
  "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, "             \
  "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, " \
  "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"
#define FETTLE_WGMMA(N, shape, places, a, b, add, more, ...)                                       \
  asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, " add ", 0;\nwgmma.mma_async.sync.aligned." shape \
               " {" places "}, " a ", " b ", p, 1, 1" more ";\n}"                                  \
               : FETTLE_SUMS_##N                                                                   \
               : __VA_ARGS__)

template <int N, bool AAlongK, bool BAlongK>
__device__ __forceinline__ void wgmma_bf16(float (&d)[N / 2], uint64_t a, uint64_t b, bool add) {
  static_assert(N == 64 || N == 128 || N == 192 || N == 256);
  if constexpr (N == 64) {
    FETTLE_WGMMA(64, "m64n64k16.f32.bf16.bf16", FETTLE_PLACES_64, "%32", "%33", "%34", ", %35, %36",
                 "l"(a), "l"(b), "r"(int{add}), "n"(int{!AAlongK}), "n"(int{!BAlongK}));
  }
  if constexpr (N == 128) {
    FETTLE_WGMMA(128, "m64n128k16.f32.bf16.bf16", FETTLE_PLACES_128, "%64", "%65", "%66",
                 ", %67, %68", "l"(a), "l"(b), "r"(int{add}), "n"(int{!AAlongK}),
                 "n"(int{!BAlongK}));
  }
  if constexpr (N == 192) {
    FETTLE_WGMMA(192, "m64n192k16.f32.bf16.bf16", FETTLE_PLACES_192, "%96", "%97", "%98",
                 ", %99, %100", "l"(a), "l"(b), "r"(int{add}), "n"(int{!AAlongK}),
                 "n"(int{!BAlongK}));
  }
  if constexpr (N == 256) {
    FETTLE_WGMMA(256, "m64n256k16.f32.bf16.bf16", FETTLE_PLACES_256, "%128", "%129", "%130",
                 ", %131, %132", "l"(a), "l"(b), "r"(int{add}), "n"(int{!AAlongK}),
                 "n"(int{!BAlongK}));
  }
}
template <int N>
__device__ __forceinline__ void wgmma_tf32(float (&d)[N / 2], uint64_t a, uint64_t b, bool add) {
  static_assert(N == 64 || N == 128 || N == 192 || N == 256);
  if constexpr (N == 64) {
    FETTLE_WGMMA(64, "m64n64k8.f32.tf32.tf32", FETTLE_PLACES_64, "%32", "%33", "%34", "", "l"(a),
                 "l"(b), "r"(int{add}));
  }
  if constexpr (N == 128) {
    FETTLE_WGMMA(128, "m64n128k8.f32.tf32.tf32", FETTLE_PLACES_128, "%64", "%65", "%66", "", "l"(a),
                 "l"(b), "r"(int{add}));
  }
  if constexpr (N == 192) {
    FETTLE_WGMMA(192, "m64n192k8.f32.tf32.tf32", FETTLE_PLACES_192, "%96", "%97", "%98", "", "l"(a),
                 "l"(b), "r"(int{add}));
  }
  if constexpr (N == 256) {
    FETTLE_WGMMA(256, "m64n256k8.f32.tf32.tf32", FETTLE_PLACES_256, "%128", "%129", "%130", "",
                 "l"(a), "l"(b), "r"(int{add}));
  }
}

template <int N>
__device__ __forceinline__ void wgmma_tf32(float (&d)[N / 2], const uint32_t (&a)[4], uint64_t b,
                                           bool add) {
  static_assert(N == 64 || N == 128 || N == 192 || N == 256);
  if constexpr (N == 64) {
    FETTLE_WGMMA(64, "m64n64k8.f32.tf32.tf32", FETTLE_PLACES_64, "{%32, %33, %34, %35}", "%36",
                 "%37", "", "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(int{add}));
  }
  if constexpr (N == 128) {
    FETTLE_WGMMA(128, "m64n128k8.f32.tf32.tf32", FETTLE_PLACES_128, "{%64, %65, %66, %67}", "%68",
                 "%69", "", "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(int{add}));
  }
  if constexpr (N == 192) {
    FETTLE_WGMMA(192, "m64n192k8.f32.tf32.tf32", FETTLE_PLACES_192, "{%96, %97, %98, %99}", "%100",
                 "%101", "", "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(int{add}));
  }
  if constexpr (N == 256) {
    FETTLE_WGMMA(256, "m64n256k8.f32.tf32.tf32", FETTLE_PLACES_256, "{%128, %129, %130, %131}",
                 "%132", "%133", "", "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b),
                 "r"(int{add}));
  }
}

#undef FETTLE_SUMS_8
#undef FETTLE_SUMS_32
#undef FETTLE_SUMS_64
#undef FETTLE_SUMS_128
#undef FETTLE_SUMS_192
#undef FETTLE_SUMS_256
#undef FETTLE_PLACES_64
#undef FETTLE_PLACES_128
#undef FETTLE_PLACES_192
#undef FETTLE_PLACES_256
#undef FETTLE_WGMMA

#else  // plans choose these words on sm_90a only

__device__ __forceinline__ void wgmma_fence() {
  __trap();
}
__device__ __forceinline__ void wgmma_commit() {
  __trap();
}
template <int Pending>
__device__ __forceinline__ void wgmma_wait() {
  __trap();
}
template <int N, bool AAlongK, bool BAlongK>
__device__ __forceinline__ void wgmma_bf16(float (&)[N / 2], uint64_t, uint64_t, bool) {
  __trap();
}
template <int N>
__device__ __forceinline__ void wgmma_tf32(float (&)[N / 2], uint64_t, uint64_t, bool) {
  __trap();
}
template <int N>
__device__ __forceinline__ void wgmma_tf32(float (&)[N / 2], const uint32_t (&)[4], uint64_t,
                                           bool) {
  __trap();
}

#endif
#else

__forceinline__ uint64_t wgmma_descriptor(const void* start, int leading, int stride,
                                          Swizzle swizzle) {
  return simt::wgmma_descriptor(start, leading, stride, static_cast<int>(swizzle));
}
__forceinline__ void wgmma_fence() {
  simt::wgmma_fence();
}
__forceinline__ void wgmma_commit() {
  simt::wgmma_commit();
}
template <int Pending>
__forceinline__ void wgmma_wait() {
  simt::wgmma_wait(Pending);
}
template <int N, bool AAlongK, bool BAlongK>
__forceinline__ void wgmma_bf16(float (&d)[N / 2], uint64_t a, uint64_t b, bool add) {
  static_assert(N == 64 || N == 128 || N == 192 || N == 256);
  simt::wgmma(d, a, b, {N, false, AAlongK, BAlongK, add});
}
template <int N>
__forceinline__ void wgmma_tf32(float (&d)[N / 2], uint64_t a, uint64_t b, bool add) {
  static_assert(N == 64 || N == 128 || N == 192 || N == 256);
  simt::wgmma(d, a, b, {N, true, true, true, add});
}
template <int N>
__forceinline__ void wgmma_tf32(float (&d)[N / 2], const uint32_t (&a)[4], uint64_t b, bool add) {
  static_assert(N == 64 || N == 128 || N == 192 || N == 256);
  simt::wgmma(d, a, b, {N, true, true, true, add});
}

#endif

}  // namespace fettle
