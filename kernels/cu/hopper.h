// Words of Hopper (sm_90): barriers in shared memory that count arrivals and bytes, and bulk copies
// of tensor boxes that one thread starts and nobody waits for but at such a barrier. A part of
// kernels/cu.h; wgmma.h has the matrix words that eat the boxes.
#pragma once

#include "kernels/cu/ampere.h"
#include "kernels/cu/tensor_map.h"

namespace fettle {

// ------------------------------------------------------------- instructions behind one name each

/// A barrier in shared memory. It goes through phases: a phase ends when all its arrivals have come
/// and all bytes that were expected in it have landed. PTX ISA, "mbarrier".
struct alignas(8) Mbarrier {
  uint64_t state;
};

/// One thread makes it; then fence_mbarrier_init, then a barrier of the block.
__device__ __forceinline__ void mbarrier_init(Mbarrier& barrier, int arrivals);
/// Lets bulk copies see the barriers that this thread has made.
__device__ __forceinline__ void fence_mbarrier_init();
/// One arrival. What this thread did before is seen by whoever waits for the phase.
__device__ __forceinline__ void mbarrier_arrive(Mbarrier& barrier);
/// One arrival, and `bytes` more must land in this phase.
__device__ __forceinline__ void mbarrier_arrive_expect(Mbarrier& barrier, int bytes);
/// Waits for the end of the phase of that parity; phases count 0, 1, 0, 1, ... To wait for parity 1
/// of a fresh barrier is no wait.
__device__ __forceinline__ void mbarrier_wait(Mbarrier& barrier, int parity);

/// Lets bulk copies and wgmma, which go another way to shared memory than loads and stores do, see
/// what this thread has stored there.
__device__ __forceinline__ void fence_proxy_async();

/// One thread starts the copy of the box at (c0, c1) or (c0, c1, c2) to shared memory, 128-byte
/// aligned; its bytes land in the barrier's current phase.
__device__ __forceinline__ void bulk_copy(void* to_shared, const TensorMap& map, Mbarrier& barrier,
                                          int c0, int c1);
__device__ __forceinline__ void bulk_copy(void* to_shared, const TensorMap& map, Mbarrier& barrier,
                                          int c0, int c1, int c2);
/// The same of a windows_map: channels from c on, at (offset_h, offset_w) in the windows from the
/// one at (n, h, w) on.
__device__ __forceinline__ void bulk_copy_windows(void* to_shared, const TensorMap& map,
                                                  Mbarrier& barrier, int c, int w, int h, int n,
                                                  int offset_w, int offset_h);

/// Stores four 8x8 matrices of 16-bit elements for the whole warp, each transposed: lane l gives
/// the address of row l % 8 of matrix l / 8 (16-byte aligned), and r[i] holds what become the
/// elements of rows 2*(l%4) and 2*(l%4)+1 in column l / 4 of matrix i: the converse of
/// ldmatrix_x4_transposed. PTX ISA, "stmatrix".
__device__ __forceinline__ void stmatrix_x4_transposed(void* row, const uint32_t (&r)[4]);

/// Gives registers of this warpgroup back, or takes more: a multiple of 8 a thread. sm_90a.
template <int Registers>
__device__ __forceinline__ void fewer_registers();
template <int Registers>
__device__ __forceinline__ void more_registers();

// --------------------------------------------------------------------------------- what is behind

#if defined(__CUDACC__)

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
#define FETTLE_SM90(...) asm volatile(__VA_ARGS__)
#else
#define FETTLE_SM90(...) __trap()
#endif

__device__ __forceinline__ void mbarrier_init(Mbarrier& barrier, int arrivals) {
  FETTLE_SM90("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(&barrier)),
              "r"(arrivals)
              : "memory");
}
__device__ __forceinline__ void fence_mbarrier_init() {
  FETTLE_SM90("fence.mbarrier_init.release.cluster;" ::: "memory");
}
__device__ __forceinline__ void mbarrier_arrive(Mbarrier& barrier) {
  FETTLE_SM90("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(&barrier))
              : "memory");
}
__device__ __forceinline__ void mbarrier_arrive_expect(Mbarrier& barrier, int bytes) {
  FETTLE_SM90(
      "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(&barrier)),
      "r"(bytes)
      : "memory");
}
__device__ __forceinline__ void mbarrier_wait(Mbarrier& barrier, int parity) {
  unsigned done = 0;
  do {
    FETTLE_SM90(
        "{\n.reg .pred p;\n"
        "mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n"
        "selp.u32 %0, 1, 0, p;\n}"
        : "=r"(done)
        : "r"(shared_address(&barrier)), "r"(parity)
        : "memory");
  } while (!done);
}
__device__ __forceinline__ void fence_proxy_async() {
  FETTLE_SM90("fence.proxy.async.shared::cta;" ::: "memory");
}
__device__ __forceinline__ void bulk_copy(void* to_shared, const TensorMap& map, Mbarrier& barrier,
                                          int c0, int c1) {
  FETTLE_SM90(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
      "[%0], [%1, {%3, %4}], [%2];" ::"r"(shared_address(to_shared)),
      "l"(&map), "r"(shared_address(&barrier)), "r"(c0), "r"(c1)
      : "memory");
}
__device__ __forceinline__ void bulk_copy(void* to_shared, const TensorMap& map, Mbarrier& barrier,
                                          int c0, int c1, int c2) {
  FETTLE_SM90(
      "cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
      "[%0], [%1, {%3, %4, %5}], [%2];" ::"r"(shared_address(to_shared)),
      "l"(&map), "r"(shared_address(&barrier)), "r"(c0), "r"(c1), "r"(c2)
      : "memory");
}
__device__ __forceinline__ void bulk_copy_windows(void* to_shared, const TensorMap& map,
                                                  Mbarrier& barrier, int c, int w, int h, int n,
                                                  int offset_w, int offset_h) {
  FETTLE_SM90(
      "cp.async.bulk.tensor.4d.shared::cluster.global.im2col.mbarrier::complete_tx::bytes "
      "[%0], [%1, {%3, %4, %5, %6}], [%2], {%7, %8};" ::"r"(shared_address(to_shared)),
      "l"(&map), "r"(shared_address(&barrier)), "r"(c), "r"(w), "r"(h), "r"(n),
      "h"(static_cast<uint16_t>(offset_w)), "h"(static_cast<uint16_t>(offset_h))
      : "memory");
}
__device__ __forceinline__ void stmatrix_x4_transposed(void* row, const uint32_t (&r)[4]) {
  FETTLE_SM90("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(
                  shared_address(row)),
              "r"(r[0]), "r"(r[1]), "r"(r[2]), "r"(r[3])
              : "memory");
}
template <int Registers>
__device__ __forceinline__ void fewer_registers() {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(Registers));
#endif
}
template <int Registers>
__device__ __forceinline__ void more_registers() {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(Registers));
#endif
}

#undef FETTLE_SM90

#else

__forceinline__ void mbarrier_init(Mbarrier& barrier, int arrivals) {
  simt::mbarrier_init(&barrier, arrivals);
}
__forceinline__ void fence_mbarrier_init() {
  simt::fence_mbarrier_init();
}
__forceinline__ void mbarrier_arrive(Mbarrier& barrier) {
  simt::mbarrier_arrive(&barrier, 0);
}
__forceinline__ void mbarrier_arrive_expect(Mbarrier& barrier, int bytes) {
  simt::mbarrier_arrive(&barrier, bytes);
}
__forceinline__ void mbarrier_wait(Mbarrier& barrier, int parity) {
  simt::mbarrier_wait(&barrier, parity);
}
__forceinline__ void fence_proxy_async() {
  simt::fence_proxy_async();
}
__forceinline__ void bulk_copy(void* to_shared, const TensorMap& map, Mbarrier& barrier, int c0,
                               int c1) {
  simt::bulk_copy(to_shared, &map, &barrier, {c0, c1});
}
__forceinline__ void bulk_copy(void* to_shared, const TensorMap& map, Mbarrier& barrier, int c0,
                               int c1, int c2) {
  simt::bulk_copy(to_shared, &map, &barrier, {c0, c1, c2});
}
__forceinline__ void bulk_copy_windows(void* to_shared, const TensorMap& map, Mbarrier& barrier,
                                       int c, int w, int h, int n, int offset_w, int offset_h) {
  simt::bulk_copy(to_shared, &map, &barrier, {c, w, h, n}, offset_w, offset_h);
}
__forceinline__ void stmatrix_x4_transposed(void* row, const uint32_t (&r)[4]) {
  simt::stmatrix_x4_transposed(row, r);
}
template <int Registers>
__forceinline__ void fewer_registers() {
  static_assert(Registers % 8 == 0 && Registers >= 24 && Registers <= 256);
}
template <int Registers>
__forceinline__ void more_registers() {
  static_assert(Registers % 8 == 0 && Registers >= 24 && Registers <= 256);
}

#endif

}  // namespace fettle
