// All that a kernel file includes of CUDA. Every kernel is compiled twice: by nvcc for the GPU, and
// by the host compiler for the executor in tests/simt, which runs each thread of a block as a fiber
// and checks what a GPU would not tell. So kernel files use the words of CUDA C++ that are listed
// here and leave out `<<<>>>`, asm, and bare __shared__:
//
//   __global__ __device__ __launch_bounds__(n) __restrict__ __forceinline__ __grid_constant__
//   threadIdx blockIdx blockDim gridDim
//   __syncthreads() __syncthreads_or(p) __syncwarp(mask) __shfl_sync __shfl_xor_sync
//   __shfl_down_sync __ballot_sync __any_sync __all_sync atomicAdd atomicMax atomicExch atomicCAS
//
// and the functions of this header and of its parts in kernels/cu/. All barriers are unconditional
// and all warp words name every lane that lives: no thread returns before the last of them.
#pragma once

#include <cmath>
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

#include "kernels/cu/wgmma.h"  // and the parts before it: hopper.h, ampere.h, elements.h

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

/// What every kernel begins with, before it touches global memory: waits until what the kernels
/// before have written is there. From Hopper on a kernel comes to the multiprocessors as soon as
/// the last block of the one before has left, so that its start is not waited for. It does not come
/// sooner: when it did, a convolution of 104 blocks took 708 us in place of 458 on an H200, as if
/// blocks that are placed beside others' ended up two to a multiprocessor. CUDA Programming Guide,
/// "Programmatic Dependent Launch and Synchronization".
__device__ __forceinline__ void wait_for_kernels_before();

/// Memory for intermediate sums: valid until the next scratch() of the same slot on the same
/// stream (see also keep_scratch()), and ordered with that stream's kernels. column_sums.cuh uses
/// slot 0. Throws CudaError when there is none.
void* scratch_bytes(Cuda device, size_t bytes, int slot);
template <class T>
T* scratch(Cuda device, int64_t count, int slot = 0) {
  return static_cast<T*>(scratch_bytes(device, static_cast<size_t>(count) * sizeof(T), slot));
}

/// Whether 16 bytes can be moved at once from and to each of these arrays; one may be nullptr.
template <class... T>
bool in_vectors(const T*... arrays) {
  return ((reinterpret_cast<uintptr_t>(arrays) % 16 == 0) && ...);
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

/// 1 / sqrt(x), on a GPU within two units of the last place.
__device__ __forceinline__ float inverse_sqrt(float x) {
#if defined(__CUDA_ARCH__)
  return rsqrtf(x);
#else
  return 1.0f / std::sqrt(x);
#endif
}

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

__device__ __forceinline__ void wait_for_kernels_before() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

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
    cudaLaunchAttribute early{};
    early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    early.val.programmaticStreamSerializationAllowed = 1;
    cudaLaunchConfig_t config{};
    config.gridDim = grid;
    config.blockDim = block;
    config.dynamicSmemBytes = dynamic_shared_bytes;
    config.stream = static_cast<cudaStream_t>(device.stream);
    config.attrs = &early;
    config.numAttrs = gpu_info().compute_capability >= 90 ? 1 : 0;
    error = cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...);
    cudaGetLastError();  // reported here, so it must not be reported again
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

/// The shared memory whose size the launch gives, 1024-byte aligned.
template <class T>
__device__ __forceinline__ T* dynamic_shared() {
  extern __shared__ __align__(1024) unsigned char fettle_dynamic_shared[];
  return reinterpret_cast<T*>(fettle_dynamic_shared);
}

#else

template <class... Parameters, class... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), dim3 grid, dim3 block,
            size_t dynamic_shared_bytes, Cuda device, Arguments... arguments) {
  const auto run = [=] {
    const auto body = [=] { kernel(static_cast<Parameters>(arguments)...); };  // on this stack
    simt::run(name, grid, block, dynamic_shared_bytes, simt::Body(body));
  };
  if (!simt::keep(device.stream, run)) run();
}

inline void wait_for_kernels_before() {
  simt::wait_for_kernels_before();
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

#endif

}  // namespace fettle
