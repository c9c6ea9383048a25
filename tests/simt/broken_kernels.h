// Kernels with one planted mistake each, and right ones that look similar: what keeps the executor
// honest.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/simt/executor.h"

namespace fettle {

struct KernelCase {
  std::string name;  ///< a broken kernel marks its line with "// <- name"
  std::function<void()> launch;
  simt::Kind kind{};  ///< what must be found
};

std::vector<KernelCase> broken_kernels();
std::vector<KernelCase> right_kernels();
/// Those with the words of Hopper.
std::vector<KernelCase> broken_hopper_kernels();
std::vector<KernelCase> right_hopper_kernels();

/// One warp reads every `stride`-th float of global memory.
void read_global_with_stride(int stride);
/// One warp reads every `stride`-th float of shared memory, `width` floats each.
void read_shared_with_stride(int stride, int width);

}  // namespace fettle
