#include "kernels/cu.h"

#include <map>
#include <mutex>
#include <string>
#include <tuple>

namespace fettle {
namespace {

void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // reported here, so it must not be reported again
  throw CudaError(std::string(what) + " failed: " + cudaGetErrorString(error));
}

struct Block {
  void* begin = nullptr;
  size_t bytes = 0;
};

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

void* scratch_bytes(Cuda device, size_t bytes, int slot) {
  static std::mutex mutex;
  static std::map<std::tuple<int, void*, int>, Block> blocks;
  int index = 0;
  check(cudaGetDevice(&index), "asking for the current GPU");
  const std::scoped_lock lock(mutex);
  Block& block = blocks[{index, device.stream, slot}];
  if (block.bytes < bytes) {
    // cudaFree waits for the kernels that still use the old block.
    check(cudaFree(block.begin), "freeing scratch memory on the GPU");
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
  return block.begin;
}

}  // namespace fettle
