// Devices, and the only dispatch on them in the program.
#pragma once

#include <string>

#include "engine/cuda_runtime.h"
#include "engine/error.h"
#include "kernels/cuda_error.h"
#include "kernels/device.h"

namespace fettle {

/// Where a tensor lives. `meta` has shapes but no memory: a model called with a meta tensor builds
/// its parameters and reports its shapes without computing anything.
struct Device {
  enum class Kind { cpu, cuda, meta };
  Kind kind = Kind::cpu;
  int index = 0;

  static Device cpu() { return {}; }
  static Device cuda(int index = 0) { return {Kind::cuda, index}; }
  static Device meta() { return {Kind::meta, 0}; }
  bool is_meta() const { return kind == Kind::meta; }
  bool is_cuda() const { return kind == Kind::cuda; }
  friend bool operator==(const Device&, const Device&) = default;
};

/// "cpu", "cuda:0" or "meta".
inline std::string to_string(const Device& device) {
  if (device.kind == Device::Kind::cpu) return "cpu";
  return device.is_meta() ? "meta" : cat("cuda:", device.index);
}

/// Calls f with the tag of the device: f(Cpu{}) or, with the GPU made current, f(Cuda{...}), which
/// queues its kernels. On meta nothing is computed. Throws Error where a kernel cannot be started
/// or the build has none.
template <class F>
void on(const Device& device, F&& f) {
  switch (device.kind) {
    case Device::Kind::cpu:
      f(Cpu{});
      return;
    case Device::Kind::meta:
      return;
    case Device::Kind::cuda:
#if defined(FETTLE_CUDA)
      try {
        f(cuda::use(device.index));
      } catch (const CudaError& error) {
        throw Error(error.what());
      }
      return;
#else
      throw Error(cuda::why_no_gpu());
#endif
  }
}

}  // namespace fettle
