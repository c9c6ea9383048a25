// What a failed CUDA launch throws; the engine turns it into its own Error.
#pragma once

#include <stdexcept>

namespace fettle {

/// The message names the kernel, its launch and CUDA's reason.
struct CudaError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The kernel that this thread started last, for errors that come to light only later.
inline thread_local const char* last_cuda_kernel = "none";

}  // namespace fettle
