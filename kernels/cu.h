// All that a kernel file includes of CUDA. Every kernel is compiled twice: by nvcc for the GPU, and
// by the host compiler for the executor in tests/simt, which runs each thread of a block as a fiber
// and checks what a GPU would not tell. So kernel files use the words of CUDA C++ that are listed
// here and leave out `<<<>>>`, asm, and bare __shared__:
//
//   __global__ __device__ __launch_bounds__(n) __restrict__ __forceinline__
//   threadIdx blockIdx blockDim gridDim
//   __syncthreads() __syncthreads_or(p) __syncwarp(mask) __shfl_sync __shfl_xor_sync
//   __shfl_down_sync __ballot_sync __any_sync __all_sync atomicAdd atomicMax atomicExch atomicCAS
//
// All barriers are unconditional and all warp words name every lane that lives: no thread returns
// before the last of them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cuda_error.h"
#include "kernels/device.h"

#if defined(__CUDACC__)
#include <cuda_runtime.h>

#include <string>
#else
#include <simt.h>
#endif

namespace fettle {

constexpr unsigned all_lanes = 0xFFFFFFFFu;

// ---------------------------------------------------------------------------------- the host side

/// What plans depend on.
struct GpuInfo {
  int multiprocessors;     ///< how many blocks can be worked on at once, at least
  int compute_capability;  ///< 75, 80, 90, ...
};

/// Of the current device.
GpuInfo gpu_info();

/// Queues kernel(arguments...) on `device`'s stream; `name` stands in the message when it fails. An
/// empty grid is no work. Throws CudaError.
template <class... Parameters, class... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), dim3 grid, dim3 block,
            size_t dynamic_shared_bytes, Cuda device, Arguments... arguments);

/// Memory for intermediate sums: valid until the next scratch() of the same slot on the same
/// stream, and ordered with that stream's kernels. column_sums.cuh uses slot 0. Throws CudaError
/// when there is none.
void* scratch_bytes(Cuda device, size_t bytes, int slot);
template <class T>
T* scratch(Cuda device, int64_t count, int slot = 0) {
  return static_cast<T*>(scratch_bytes(device, static_cast<size_t>(count) * sizeof(T), slot));
}

/// ceil(n / each), as an extent of a grid.
inline unsigned blocks_for(int64_t n, int64_t each) {
  return static_cast<unsigned>((n + each - 1) / each);
}

/// Blocks for a loop that strides over n elements by the whole grid: enough to fill the GPU.
inline unsigned strided_blocks(int64_t n, int threads) {
  const int64_t wanted = (n + threads - 1) / threads;
  const int64_t useful = int64_t{gpu_info().multiprocessors} * (2048 / threads) * 4;
  return static_cast<unsigned>(wanted < useful ? wanted : useful);
}

/// The first element of this thread and the distance to its next one in such a loop.
__device__ inline int64_t strided_first() {
  return int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
}
__device__ inline int64_t strided_step() {
  return int64_t{gridDim.x} * blockDim.x;
}

// --------------------------------------------------------------------------------------- elements

/// N neighbours that one instruction moves; as large as its alignment.
template <class T, int N>
struct alignas(sizeof(T) * N) Vec {
  T v[N];
  FETTLE_HOST_DEVICE T& operator[](int i) { return v[i]; }
  FETTLE_HOST_DEVICE const T& operator[](int i) const { return v[i]; }
};

/// p must be aligned to the whole vector.
template <int N, class T>
__device__ __forceinline__ Vec<T, N> load_vec(const T* p);
template <int N, class T>
__device__ __forceinline__ void store_vec(T* p, const Vec<T, N>& value);

/// bfloat16: the upper half of a float (8 bits of exponent, 7 of mantissa).
struct bf16 {
  uint16_t bits;
};

/// IEEE 754 binary16: 5 bits of exponent, 10 of mantissa; its largest number is 65504.
struct fp16 {
  uint16_t bits;
};

FETTLE_HOST_DEVICE inline float to_float(float x) {
  return x;
}
FETTLE_HOST_DEVICE inline float to_float(bf16 x);
FETTLE_HOST_DEVICE inline float to_float(fp16 x);

/// Rounds to nearest, ties to even.
template <class T>
FETTLE_HOST_DEVICE T from_float(float x);

// ------------------------------------------------------------- instructions behind one name each

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
/// The bits of x rounded to tf32, to nearest with ties away from zero.
__device__ __forceinline__ uint32_t to_tf32(float x);

// ----------------------------------------------------------------------- reductions within a block

/// The sum over the warp, in every lane, always in the same order.
template <class T>
__device__ __forceinline__ T warp_sum(T value) {
  for (int distance = 16; distance > 0; distance /= 2) {
    value += __shfl_xor_sync(all_lanes, value, distance);
  }
  return value;
}

template <class T>
__device__ __forceinline__ T warp_max(T value) {
  for (int distance = 16; distance > 0; distance /= 2) {
    const T other = __shfl_xor_sync(all_lanes, value, distance);
    value = other > value ? other : value;
  }
  return value;
}

/// The sum over a block of whole warps, in every thread, always in the same order. `partial` has 32
/// elements of shared memory and may be used again after the call.
template <class T>
__device__ __forceinline__ T block_sum(T value, T* partial) {
  const unsigned thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  const unsigned warps = blockDim.x * blockDim.y * blockDim.z / 32;
  value = warp_sum(value);
  if (thread % 32 == 0) partial[thread / 32] = value;
  __syncthreads();
  value = warp_sum(thread % 32 < warps ? partial[thread % 32] : T{});
  __syncthreads();
  return value;
}

// --------------------------------------------------------------------------------- what is behind

#if defined(__CUDACC__)

template <class... Parameters, class... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), dim3 grid, dim3 block,
            size_t dynamic_shared_bytes, Cuda device, Arguments... arguments) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  cudaError_t error = cudaSuccess;
  if (dynamic_shared_bytes > 48 * 1024) {  // more than that must be asked for
    error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                 static_cast<int>(dynamic_shared_bytes));
  }
  if (error == cudaSuccess) {
    kernel<<<grid, block, dynamic_shared_bytes, static_cast<cudaStream_t>(device.stream)>>>(
        static_cast<Parameters>(arguments)...);
    error = cudaGetLastError();
  }
  last_cuda_kernel = name;
  if (error == cudaSuccess) return;
  const auto extent = [](dim3 d) {
    return std::to_string(d.x) + "x" + std::to_string(d.y) + "x" + std::to_string(d.z);
  };
  throw CudaError(std::string("the kernel ") + name + " could not be started with " + extent(grid) +
                  " blocks of " + extent(block) + " threads and " +
                  std::to_string(dynamic_shared_bytes) +
                  " bytes of shared memory: " + cudaGetErrorString(error));
}

/// The block's one struct of shared memory.
template <class T>
__device__ __forceinline__ T& shared() {
  __shared__ T storage;
  return storage;
}

/// The shared memory whose size the launch gives, 128-byte aligned.
template <class T>
__device__ __forceinline__ T* dynamic_shared() {
  extern __shared__ __align__(128) unsigned char fettle_dynamic_shared[];
  return reinterpret_cast<T*>(fettle_dynamic_shared);
}

template <int N, class T>
__device__ __forceinline__ Vec<T, N> load_vec(const T* p) {
  return *reinterpret_cast<const Vec<T, N>*>(p);
}
template <int N, class T>
__device__ __forceinline__ void store_vec(T* p, const Vec<T, N>& value) {
  *reinterpret_cast<Vec<T, N>*>(p) = value;
}

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

__device__ __forceinline__ uint32_t to_tf32(float x) {
#if __CUDA_ARCH__ >= 800
  uint32_t bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
  return bits;
#else
  return __float_as_uint(x);
#endif
}

FETTLE_HOST_DEVICE inline uint32_t bits_of(float x) {
  union {
    float f;
    uint32_t u;
  } both = {x};
  return both.u;
}
FETTLE_HOST_DEVICE inline float float_of(uint32_t bits) {
  union {
    uint32_t u;
    float f;
  } both = {bits};
  return both.f;
}

#else

template <class... Parameters, class... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), dim3 grid, dim3 block,
            size_t dynamic_shared_bytes, Cuda, Arguments... arguments) {
  const auto body = [&] { kernel(static_cast<Parameters>(arguments)...); };
  simt::run(name, grid, block, dynamic_shared_bytes, simt::Body(body));
}

template <class T>
T& shared() {
  static const char tag = 0;
  return *static_cast<T*>(simt::shared_memory(&tag, sizeof(T), alignof(T)));
}
template <class T>
T* dynamic_shared() {
  return static_cast<T*>(simt::dynamic_shared_memory());
}

template <int N, class T>
__forceinline__ Vec<T, N> load_vec(const T* p) {
  Vec<T, N> value;
  simt::load(&value, p, sizeof(value));
  return value;
}
template <int N, class T>
__forceinline__ void store_vec(T* p, const Vec<T, N>& value) {
  simt::store(p, &value, sizeof(value));
}

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

inline uint32_t bits_of(float x) {
  return std::bit_cast<uint32_t>(x);
}
inline float float_of(uint32_t bits) {
  return std::bit_cast<float>(bits);
}

__forceinline__ uint32_t to_tf32(float x) {
  const uint32_t bits = bits_of(x);
  if ((bits & 0x7F800000u) == 0x7F800000u) return bits;  // infinities and NaN
  return (bits + 0x1000u) & ~0x1FFFu;
}

#endif

FETTLE_HOST_DEVICE inline float to_float(bf16 x) {
  return float_of(uint32_t{x.bits} << 16);
}
FETTLE_HOST_DEVICE inline float to_float(fp16 x) {
  const uint32_t sign = uint32_t{x.bits} >> 15 << 31, exponent = x.bits >> 10 & 31u;
  const uint32_t mantissa = x.bits & 1023u;
  if (exponent == 31) return float_of(sign | 0x7F800000u | mantissa << 13);
  if (exponent > 0) return float_of(sign | (exponent + 112) << 23 | mantissa << 13);
  return float_of(sign | bits_of(static_cast<float>(mantissa) * 0x1p-24f));
}
template <>
FETTLE_HOST_DEVICE inline float from_float<float>(float x) {
  return x;
}
template <>
FETTLE_HOST_DEVICE inline bf16 from_float<bf16>(float x) {
  const uint32_t bits = bits_of(x);
  if (x != x) return {static_cast<uint16_t>((bits >> 16) | 0x40u)};  // a NaN stays one
  return {static_cast<uint16_t>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16)};
}

template <>
FETTLE_HOST_DEVICE inline fp16 from_float<fp16>(float x) {
  const uint32_t sign = bits_of(x) >> 31 << 15, size = bits_of(x) & 0x7FFFFFFFu;
  uint32_t bits = 0;
  if (size > 0x7F800000u) {
    bits = 0x7E00u;  // a NaN
  } else if (size >= 0x477FF000u) {
    bits = 0x7C00u;  // from 65520 on, infinity is nearer
  } else if (size >= 0x38800000u) {
    bits = ((size + 0xFFFu + (size >> 13 & 1u)) >> 13) - (112u << 10);
  } else {
    // Below 2^-14 the steps are 2^-24, as those of floats about 1/2 are: the addition rounds.
    bits = bits_of(float_of(size) + 0.5f) - bits_of(0.5f);
  }
  return {static_cast<uint16_t>(sign | bits)};
}

}  // namespace fettle
