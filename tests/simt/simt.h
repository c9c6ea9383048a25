// The words of CUDA C++ that kernels/cu.h lists, for the host compiler. A kernel compiled with this
// header runs on the executor of executor.h.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <type_traits>
#include <vector>

#include "cuda_runtime_api.h"

#define __global__
#define __device__
#define __host__
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(n) alignas(n)
#define __forceinline__ inline __attribute__((always_inline))

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
struct uint3 {
  unsigned x, y, z;
};

namespace simt {

/// A callable that lives on the launching thread's stack, where kernels may read it.
struct Body {
  template <class F>
  explicit Body(const F& f)
      : call([](const void* object) { (*static_cast<const F*>(object))(); }), object(&f) {}
  void (*call)(const void*);
  const void* object;
};

/// Runs `body` once for each thread of each block, and checks it; what a kernel launch is here.
/// Throws std::runtime_error with every finding, unless Options::throw_findings is off.
void run(const char* name, dim3 grid, dim3 block, size_t dynamic_shared_bytes, Body body);

/// Keeps `work` for the launches of a graph where the stream is being captured; false where it is
/// to be done now.
bool keep(void* stream, const std::function<void()>& work);

uint3 thread_index();
uint3 block_index();
dim3 block_extent();
dim3 grid_extent();

void* shared_memory(const void* tag, size_t bytes, size_t alignment);
void* dynamic_shared_memory();

enum class Vote { none, any, all, count };
/// Waits for every thread of the block; the vote of all of them.
int barrier(Vote vote = Vote::none, bool predicate = false);

enum class Shuffle { index, exclusive_or, down, up };
/// Waits for the lanes of `mask` at the same call.
void warp_barrier(unsigned mask);
uint64_t shuffle(unsigned mask, uint64_t value, Shuffle how, int argument, int width);
unsigned ballot(unsigned mask, bool predicate);

/// Moves `bytes` between a register and memory that the kernel's threads share, as one request.
void load(void* to, const void* from, size_t bytes);
void store(void* to, const void* from, size_t bytes);

enum class Atomic { add, max, min, exchange, compare_exchange, bit_or };
template <class T>
T atomic(T* address, Atomic how, T operand, T compare = T{});

void memory_fence();

/// From now on the thread may touch global memory.
void wait_for_kernels_before();

/// The bytes count as unwritten again.
void forget(const void* begin, size_t bytes);

void cp_async(void* to, const void* from, size_t bytes, bool valid);
void cp_async_commit();
void cp_async_wait(int pending);
void ldmatrix_x4(uint32_t* r, const void* row, bool transposed);
void stmatrix_x4_transposed(void* row, const uint32_t* r);
void mma_bf16(float* d, const uint32_t* a, const uint32_t* b);
void mma_tf32(float* d, const uint32_t* a, const uint32_t* b);

void mbarrier_init(void* barrier, int arrivals);
void fence_mbarrier_init();
/// One arrival, after which `bytes` more must land.
void mbarrier_arrive(void* barrier, int bytes);
void mbarrier_wait(void* barrier, int parity);
void fence_proxy_async();
/// A tensor map in 128 bytes; false where the driver would not take it. Without a box, it is of
/// windows. The parameters are those of cuTensorMapEncodeTiled and cuTensorMapEncodeIm2col.
bool encode_tensor_map(void* map, bool tf32, const void* base, const std::vector<uint64_t>& extents,
                       const std::vector<uint64_t>& strides, const std::vector<uint32_t>& box,
                       const std::vector<int>& lower, const std::vector<int>& upper,
                       uint32_t channels, uint32_t pixels, const std::vector<uint32_t>& steps,
                       int swizzle);
void bulk_copy(void* to, const void* map, void* barrier, std::initializer_list<int> coordinates,
               int offset_w = 0, int offset_h = 0);

struct WgmmaShape {
  int N;
  bool tf32, a_along_k, b_along_k, add;
  friend bool operator==(const WgmmaShape&, const WgmmaShape&) = default;
};
uint64_t wgmma_descriptor(const void* start, int leading, int stride, int swizzle);
void wgmma_fence();
void wgmma_commit();
void wgmma_wait(int pending);
void wgmma(float* d, uint64_t a, uint64_t b, const WgmmaShape& shape);
/// The same of tf32, with four elements of A in the registers `a`.
void wgmma(float* d, const uint32_t* a, uint64_t b, const WgmmaShape& shape);

template <class T>
__forceinline__ T shuffle_as(unsigned mask, T value, Shuffle how, int argument, int width) {
  static_assert(std::is_trivially_copyable_v<T> && (sizeof(T) == 4 || sizeof(T) == 8));
  using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
  return std::bit_cast<T>(
      static_cast<Bits>(shuffle(mask, std::bit_cast<Bits>(value), how, argument, width)));
}

}  // namespace simt

#define threadIdx (::simt::thread_index())
#define blockIdx (::simt::block_index())
#define blockDim (::simt::block_extent())
#define gridDim (::simt::grid_extent())

__forceinline__ void __syncthreads() {
  simt::barrier();
}
__forceinline__ int __syncthreads_or(int predicate) {
  return simt::barrier(simt::Vote::any, predicate != 0);
}
__forceinline__ int __syncthreads_and(int predicate) {
  return simt::barrier(simt::Vote::all, predicate != 0);
}
__forceinline__ int __syncthreads_count(int predicate) {
  return simt::barrier(simt::Vote::count, predicate != 0);
}
__forceinline__ void __syncwarp(unsigned mask = 0xFFFFFFFFu) {
  simt::warp_barrier(mask);
}
template <class T>
__forceinline__ T __shfl_sync(unsigned mask, T value, int lane, int width = 32) {
  return simt::shuffle_as(mask, value, simt::Shuffle::index, lane, width);
}
template <class T>
__forceinline__ T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32) {
  return simt::shuffle_as(mask, value, simt::Shuffle::exclusive_or, lane_mask, width);
}
template <class T>
__forceinline__ T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  return simt::shuffle_as(mask, value, simt::Shuffle::down, static_cast<int>(delta), width);
}
template <class T>
__forceinline__ T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  return simt::shuffle_as(mask, value, simt::Shuffle::up, static_cast<int>(delta), width);
}
__forceinline__ unsigned __ballot_sync(unsigned mask, int predicate) {
  return simt::ballot(mask, predicate != 0);
}
__forceinline__ int __any_sync(unsigned mask, int predicate) {
  return simt::ballot(mask, predicate != 0) != 0;
}
__forceinline__ int __all_sync(unsigned mask, int predicate) {
  return simt::ballot(mask, predicate == 0) == 0;
}
template <class T>
__forceinline__ T atomicAdd(T* address, std::type_identity_t<T> value) {
  return simt::atomic(address, simt::Atomic::add, value);
}
template <class T>
__forceinline__ T atomicMax(T* address, std::type_identity_t<T> value) {
  return simt::atomic(address, simt::Atomic::max, value);
}
template <class T>
__forceinline__ T atomicMin(T* address, std::type_identity_t<T> value) {
  return simt::atomic(address, simt::Atomic::min, value);
}
template <class T>
__forceinline__ T atomicExch(T* address, std::type_identity_t<T> value) {
  return simt::atomic(address, simt::Atomic::exchange, value);
}
template <class T>
__forceinline__ T atomicOr(T* address, std::type_identity_t<T> value) {
  return simt::atomic(address, simt::Atomic::bit_or, value);
}
template <class T>
__forceinline__ T atomicCAS(T* address, std::type_identity_t<T> compare,
                            std::type_identity_t<T> value) {
  return simt::atomic(address, simt::Atomic::compare_exchange, value, compare);
}
__forceinline__ void __threadfence() {
  simt::memory_fence();
}
