#include "kernels/cu.h"

#include <map>
#include <mutex>
#include <string>
#include <utility>

namespace fettle {
namespace {

void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // reported here, so it must not be reported again
  throw CudaError(std::string(what) + " failed: " + cudaGetErrorString(error));
}

/// Of a stream.
struct Scratch {
  struct Block {
    void* begin = nullptr;
    size_t bytes = 0;
  };
  std::map<int, Block> slots;
  bool kept = false;
};

/// Calls f with the stream's scratch memory, which no other thread has meanwhile.
template <class F>
void with_scratch(Cuda device, const F& f) {
  static std::mutex mutex;
  static std::map<std::pair<int, void*>, Scratch> all;
  int index = 0;
  check(cudaGetDevice(&index), "asking for the current GPU");
  const std::scoped_lock lock(mutex);
  f(all[{index, device.stream}]);
}

}  // namespace

GpuInfo gpu_info() {
  static std::mutex mutex;
  static std::map<int, GpuInfo> known;
  int device = 0;
  check(cudaGetDevice(&device), "asking for the current GPU");
  const std::scoped_lock lock(mutex);
  if (const auto found = known.find(device); found != known.end()) return found->second;
  int multiprocessors = 0, major = 0, minor = 0;
  check(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device),
        "asking for the GPU's multiprocessors");
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device),
        "asking for the GPU's compute capability");
  check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device),
        "asking for the GPU's compute capability");
  return known[device] = {multiprocessors, major * 10 + minor};
}

void keep_scratch(Cuda device) {
  with_scratch(device, [](Scratch& scratch) { scratch.kept = true; });
}

void* scratch_bytes(Cuda device, size_t bytes, int slot) {
  void* begin = nullptr;
  with_scratch(device, [&](Scratch& scratch) {
    auto& block = scratch.slots[slot];
    if (block.bytes < bytes) {
      if (!scratch.kept) {
        // cudaFree waits for the kernels that still use the old block.
        check(cudaFree(block.begin), "freeing scratch memory on the GPU");
      }
      block = {};
      void* fresh = nullptr;
      const std::string what = "allocating " + std::to_string(bytes >> 20) +
                               " MiB of scratch memory on the GPU (take a smaller batch)";
      check(cudaMalloc(&fresh, bytes), what.c_str());
      block = {fresh, bytes};
    }
#if !defined(__CUDACC__)
    simt::forget(block.begin, block.bytes);
#endif
    begin = block.begin;
  });
  return begin;
}

}  // namespace fettle
