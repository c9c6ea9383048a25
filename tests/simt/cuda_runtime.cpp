// Memory of the executor's GPU lies in one range of addresses that is closed while no kernel and no
// copy runs: host code that follows a device pointer ends in a segmentation fault, as it would
// beside a GPU.
#include <sys/mman.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "tests/simt/cuda_runtime_api.h"
#include "tests/simt/state.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(begin, bytes) static_cast<void>(0)
#define ASAN_UNPOISON_MEMORY_REGION(begin, bytes) static_cast<void>(0)
#endif

namespace simt {
namespace {

constexpr size_t total_bytes = size_t{1} << 30;
constexpr size_t range_bytes = 4 * total_bytes;  // fresh addresses for long
constexpr size_t guard = 256;

struct Heap {
  std::recursive_mutex mutex;
  std::byte* range = static_cast<std::byte*>(
      mmap(nullptr, range_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  size_t next = guard, used = 0;
  int open = 0;
  std::map<std::byte*, size_t> blocks;
  std::multimap<size_t, std::byte*> free;

  std::byte* take(size_t bytes) {
    const size_t rounded = (bytes + 255) / 256 * 256 + guard;
    if (used + rounded > total_bytes) return nullptr;
    std::byte* block = nullptr;
    if (const auto found = free.find(rounded); found != free.end()) {
      block = found->second;
      free.erase(found);
    } else if (next + rounded <= range_bytes) {
      block = range + next;
      next += rounded;
      ASAN_POISON_MEMORY_REGION(block, rounded);
    } else {
      return nullptr;
    }
    ASAN_UNPOISON_MEMORY_REGION(block, bytes);
    used += rounded;
    blocks[block] = rounded;
    return block;
  }
  bool give(std::byte* block) {
    const auto found = blocks.find(block);
    if (found == blocks.end()) return false;
    used -= found->second;
    free.emplace(found->second, block);
    ASAN_POISON_MEMORY_REGION(block, found->second);
    blocks.erase(found);
    return true;
  }
};

Heap& heap() {
  static Heap* const instance = new Heap;
  return *instance;
}

}  // namespace

DeviceMemoryOpen::DeviceMemoryOpen() {
  Heap& h = heap();
  h.mutex.lock();
  if (h.open++ == 0) mprotect(h.range, (h.next + 4095) / 4096 * 4096, PROT_READ | PROT_WRITE);
}
DeviceMemoryOpen::~DeviceMemoryOpen() {
  Heap& h = heap();
  if (--h.open == 0) mprotect(h.range, (h.next + 4095) / 4096 * 4096, PROT_NONE);
  h.mutex.unlock();
}

}  // namespace simt

namespace {

thread_local cudaError_t last_error = cudaSuccess;
cudaError_t failed(cudaError_t error) {
  return last_error = error;
}

// A stream needs an address and nothing else, as all work is done at once.
char stream_handle;

}  // namespace

/// When it was recorded.
struct CUevent_st {
  std::chrono::steady_clock::time_point time;
};

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (device != 0) return failed(cudaErrorInvalidDevice);
  *properties = {"SIMT executor", simt::total_bytes, 9, 0, 4};
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  cudaDeviceProp properties;
  if (cudaGetDeviceProperties(&properties, device)) return last_error;
  *value = attribute == cudaDevAttrMultiProcessorCount      ? properties.multiProcessorCount
           : attribute == cudaDevAttrComputeCapabilityMajor ? properties.major
                                                            : properties.minor;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  return device == 0 ? cudaSuccess : failed(cudaErrorInvalidDevice);
}
cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}
cudaError_t cudaDeviceSynchronize() {
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** p, size_t bytes) {
  const std::scoped_lock lock(simt::heap().mutex);
  std::byte* block = simt::heap().take(bytes);
  if (!block) return failed(cudaErrorMemoryAllocation);
  simt::add_memory(block, bytes, false, "an allocation of the GPU");
  *p = block;
  return cudaSuccess;
}
cudaError_t cudaFree(void* p) {
  if (!p) return cudaSuccess;
  const std::scoped_lock lock(simt::heap().mutex);
  if (!simt::heap().give(static_cast<std::byte*>(p))) {
    simt::free_shared_with_host(p);
    return cudaSuccess;
  }
  simt::remove_memory(p);
  return cudaSuccess;
}
cudaError_t cudaMallocHost(void** p, size_t bytes) {
  *p = std::malloc(bytes);
  return *p ? cudaSuccess : failed(cudaErrorMemoryAllocation);
}
cudaError_t cudaFreeHost(void* p) {
  std::free(p);
  return cudaSuccess;
}
cudaError_t cudaMallocManaged(void** p, size_t bytes, unsigned) {
  *p = simt::allocate_shared_with_host(bytes);
  return *p ? cudaSuccess : failed(cudaErrorMemoryAllocation);
}
cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  const std::scoped_lock lock(simt::heap().mutex);
  *total = simt::total_bytes;
  *free = simt::total_bytes - simt::heap().used;
  return cudaSuccess;
}
cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind) {
  const simt::DeviceMemoryOpen open;
  std::memmove(to, from, bytes);
  simt::mark_memory(to, bytes, true);
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t) {
  return cudaMemcpy(to, from, bytes, kind);
}
cudaError_t cudaMemsetAsync(void* p, int value, size_t bytes, cudaStream_t) {
  const simt::DeviceMemoryOpen open;
  std::memset(p, value, bytes);
  simt::mark_memory(p, bytes, true);
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = reinterpret_cast<cudaStream_t>(&stream_handle);
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t) {
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t) {
  return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned) {
  return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new CUevent_st;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t) {
  event->time = std::chrono::steady_clock::now();
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t) {
  return cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t) {
  return cudaSuccess;
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
  *milliseconds = std::chrono::duration<float, std::milli>(end->time - begin->time).count();
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}

cudaError_t cudaGetLastError() {
  return std::exchange(last_error, cudaSuccess);
}
const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "cudaSuccess";
    case cudaErrorMemoryAllocation:
      return "cudaErrorMemoryAllocation";
    case cudaErrorInvalidDevice:
      return "cudaErrorInvalidDevice";
    default:
      return "cudaErrorInvalidValue";
  }
}
const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorInvalidDevice:
      return "invalid device ordinal";
    default:
      return "invalid argument";
  }
}
