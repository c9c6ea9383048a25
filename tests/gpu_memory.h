// Arrays of tests in managed memory, which the host and the GPU share. Kernels of a test run one
// after another (CUDA_LAUNCH_BLOCKING), so that the host can read what they wrote at once.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>

#if defined(FETTLE_CUDA)
#include <cuda_runtime_api.h>
#endif

namespace fettle {

/// True when this test program can run kernels on a GPU, or on the executor.
inline bool gpu_is_there() {
#if defined(FETTLE_CUDA)
  static const bool there = [] {
    setenv("CUDA_LAUNCH_BLOCKING", "1", 1);  // read when CUDA starts, which is now
    int count = 0;
    return cudaGetDeviceCount(&count) == cudaSuccess && count > 0;
  }();
  return there;
#else
  return false;
#endif
}

/// 90 for Hopper; 0 without a GPU.
inline int gpu_compute_capability() {
#if defined(FETTLE_CUDA)
  cudaDeviceProp properties;
  if (gpu_is_there() && cudaGetDeviceProperties(&properties, 0) == cudaSuccess) {
    return properties.major * 10 + properties.minor;
  }
#endif
  return 0;
}

template <class T>
struct GpuAllocator {
  using value_type = T;
  GpuAllocator() = default;
  template <class U>
  GpuAllocator(const GpuAllocator<U>&) {}

  T* allocate(size_t n) {
#if defined(FETTLE_CUDA)
    if (gpu_is_there()) {
      void* p = nullptr;
      if (cudaMallocManaged(&p, n * sizeof(T)) != cudaSuccess) throw std::bad_alloc();
      return static_cast<T*>(p);
    }
#endif
    return static_cast<T*>(::operator new(n * sizeof(T)));
  }
  void deallocate(T* p, size_t) {
#if defined(FETTLE_CUDA)
    if (gpu_is_there()) {
      cudaFree(p);
      return;
    }
#endif
    ::operator delete(p);
  }
  friend bool operator==(const GpuAllocator&, const GpuAllocator&) {
    return true;
  }
};

}  // namespace fettle
