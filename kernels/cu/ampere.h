// Words of Ampere and newer, one instruction each: copies in the background, and matrices that a
// warp multiplies. A part of kernels/cu.h.
#pragma once

#include "kernels/cu/elements.h"

namespace fettle {

/// Starts copying Bytes (4, 8 or 16; both addresses aligned to it) from global to shared memory
/// without passing a register; zeros where !valid (`from` must still be a valid address). The bytes
/// are there once this thread has waited for their group and, for other threads, after a barrier
/// that follows. Below sm_80 the copy is made at once.
template <int Bytes>
__device__ __forceinline__ void cp_async(void* to_shared, const void* from_global,
                                         bool valid = true);
/// Closes the group of this thread's copies so far.
__device__ __forceinline__ void cp_async_commit();
/// Waits until at most `Pending` of the last groups are under way.
template <int Pending>
__device__ __forceinline__ void cp_async_wait();

/// Loads four 8x8 matrices of 16-bit elements for the whole warp: lane l gives the address of row
/// l % 8 of matrix l / 8 (16-byte aligned), and receives in r[i] the elements 2*(l%4) and 2*(l%4)+1
/// of row l / 4 of matrix i. PTX ISA, "ldmatrix".
__device__ __forceinline__ void ldmatrix_x4(uint32_t (&r)[4], const void* row);
/// The same with each matrix transposed.
__device__ __forceinline__ void ldmatrix_x4_transposed(uint32_t (&r)[4], const void* row);

/// Asks for the line of global memory at p to be in the L2 cache soon. PTX ISA, "prefetch".
__device__ __forceinline__ void prefetch(const void* p);

/// d[16,8] += a[16,16] * b[16,8] by a whole warp, bf16 in and fp32 sums. With g = lane / 4 and
/// t = lane % 4, each register holding two elements that are neighbours in k:
///   a: rows g, g+8, g, g+8 at k = 2t, 2t, 2t+8, 2t+8;   b: column g at k = 2t, 2t+8
///   d: (g, 2t), (g, 2t+1), (g+8, 2t), (g+8, 2t+1)
/// PTX ISA, "mma.m16n8k16". Needs sm_80.
__device__ __forceinline__ void mma_bf16(float (&d)[4], const uint32_t (&a)[4],
                                         const uint32_t (&b)[2]);
/// d[16,8] += a[16,8] * b[8,8] in tf32 (floats of 10 mantissa bits, as to_tf32 makes them):
///   a: (g, t), (g+8, t), (g, t+4), (g+8, t+4);   b: (t, g), (t+4, g);   d as above
/// PTX ISA, "mma.m16n8k8". Needs sm_80.
__device__ __forceinline__ void mma_tf32(float (&d)[4], const uint32_t (&a)[4],
                                         const uint32_t (&b)[2]);
// --------------------------------------------------------------------------------- what is behind

#if defined(__CUDACC__)

__device__ __forceinline__ unsigned shared_address(const void* p) {
  return static_cast<unsigned>(__cvta_generic_to_shared(p));
}

template <int Bytes>
__device__ __forceinline__ void cp_async(void* to_shared, const void* from_global, bool valid) {
  static_assert(Bytes == 4 || Bytes == 8 || Bytes == 16);
#if __CUDA_ARCH__ >= 800
  const int source_bytes = valid ? Bytes : 0;
  if constexpr (Bytes == 16) {  // past the first-level cache
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to_shared)),
                 "l"(from_global), "r"(source_bytes)
                 : "memory");
  } else {
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(shared_address(to_shared)),
                 "l"(from_global), "n"(Bytes), "r"(source_bytes)
                 : "memory");
  }
#else
  using Words = Vec<uint32_t, Bytes / 4>;
  *static_cast<Words*>(to_shared) = valid ? *static_cast<const Words*>(from_global) : Words{};
#endif
}

__device__ __forceinline__ void cp_async_commit() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

template <int Pending>
__device__ __forceinline__ void cp_async_wait() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(Pending) : "memory");
#endif
}

__device__ __forceinline__ void prefetch(const void* p) {
  asm volatile("prefetch.global.L2 [%0];" ::"l"(__cvta_generic_to_global(p)));
}

__device__ __forceinline__ void ldmatrix_x4(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

__device__ __forceinline__ void ldmatrix_x4_transposed(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

__device__ __forceinline__ void mma_bf16(float (&d)[4], const uint32_t (&a)[4],
                                         const uint32_t (&b)[2]) {
#if __CUDA_ARCH__ >= 800
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  __trap();
#endif
}

__device__ __forceinline__ void mma_tf32(float (&d)[4], const uint32_t (&a)[4],
                                         const uint32_t (&b)[2]) {
#if __CUDA_ARCH__ >= 800
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  __trap();
#endif
}

#else

template <int Bytes>
__forceinline__ void cp_async(void* to_shared, const void* from_global, bool valid) {
  static_assert(Bytes == 4 || Bytes == 8 || Bytes == 16);
  simt::cp_async(to_shared, from_global, Bytes, valid);
}
__forceinline__ void cp_async_commit() {
  simt::cp_async_commit();
}
template <int Pending>
__forceinline__ void cp_async_wait() {
  simt::cp_async_wait(Pending);
}

__forceinline__ void prefetch(const void*) {}  // the executor has no caches

__forceinline__ void ldmatrix_x4(uint32_t (&r)[4], const void* row) {
  simt::ldmatrix_x4(r, row, false);
}
__forceinline__ void ldmatrix_x4_transposed(uint32_t (&r)[4], const void* row) {
  simt::ldmatrix_x4(r, row, true);
}
__forceinline__ void mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  simt::mma_bf16(d, a, b);
}
__forceinline__ void mma_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  simt::mma_tf32(d, a, b);
}

#endif

}  // namespace fettle
