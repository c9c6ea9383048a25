// Tags that choose the implementation of a kernel by overloading: conv2d_forward(Cpu{}, ...) and
// conv2d_forward(Cuda{...}, ...) have the same contract. A kernel without a twin is a link error.
#pragma once

#include <cstddef>

#if defined(__CUDACC__)
#define FETTLE_HOST_DEVICE __host__ __device__
#else
#define FETTLE_HOST_DEVICE
#endif

namespace fettle {

/// The host processor, with the threads of kernels/parallel.h.
struct Cpu {};

/// A GPU, by one of its streams (a cudaStream_t; nullptr is the default stream). Kernels are queued
/// there and run later; whoever reads a result on the host waits for the stream first. Launches
/// that fail throw CudaError (kernels/cuda_error.h).
struct Cuda {
  void* stream = nullptr;
};

/// From now on what kernels on this stream were given for intermediate results is never freed, not
/// even when they need more: a CUDA graph may hold its address.
void keep_scratch(Cuda device);

/// The plain double-precision definition that every test compares with; never used by the engine.
struct Reference {};

}  // namespace fettle
