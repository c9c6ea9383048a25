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

/// The plain double-precision definition that every test compares with; never used by the engine.
struct Reference {};

}  // namespace fettle
