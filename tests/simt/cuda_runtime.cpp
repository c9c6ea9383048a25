// Memory of the executor's GPU lies in one range of addresses that is closed while no kernel and no
// copy runs: host code that follows a device pointer ends in a segmentation fault, as it would
// beside a GPU.
#include <sys/mman.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

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

constexpr size_t range_bytes = size_t{1} << 36;  // fresh addresses for long

size_t total_bytes() {
  return size_t{1} << (options().compute ? 30 : 35);
}
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
    if (used + rounded > total_bytes()) return nullptr;
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

int captures = 0;  // under way

}  // namespace

/// When it was recorded.
struct CUevent_st {
  std::chrono::steady_clock::time_point time;
};

struct CUgraph_st {
  std::vector<std::function<void()>> work;
};
struct CUgraphExec_st : CUgraph_st {};

struct CUstream_st {
  std::optional<CUgraph_st> captured;
  bool valid = true;  // the capture
};

namespace {

/// What a captured stream cannot do.
cudaError_t not_captured(cudaStream_t stream) {
  if (!stream || !stream->captured) return cudaSuccess;
  stream->valid = false;
  return failed(cudaErrorStreamCaptureUnsupported);
}

}  // namespace

bool simt::keep(void* stream, const std::function<void()>& work) {
  auto* s = static_cast<cudaStream_t>(stream);
  if (!s || !s->captured) return false;
  s->captured->work.push_back(work);
  return true;
}

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (device != 0) return failed(cudaErrorInvalidDevice);
  *properties = {"SIMT executor", simt::total_bytes(), 9, 0, 4};
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
  if (captures > 0) return failed(cudaErrorStreamCaptureUnsupported);
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
  *total = simt::total_bytes();
  *free = simt::total_bytes() - simt::heap().used;
  return cudaSuccess;
}
cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind) {
  if (!simt::options().compute) return cudaSuccess;
  const simt::DeviceMemoryOpen open;
  std::memmove(to, from, bytes);
  simt::mark_memory(to, bytes, true);
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  const auto copy = [=] { cudaMemcpy(to, from, bytes, kind); };
  if (!simt::keep(stream, copy)) copy();
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* p, int value, size_t bytes, cudaStream_t stream) {
  const auto set = [=] {
    if (!simt::options().compute) return;
    const simt::DeviceMemoryOpen open;
    std::memset(p, value, bytes);
    simt::mark_memory(p, bytes, true);
  };
  if (!simt::keep(stream, set)) set();
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = new CUstream_st;
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return not_captured(stream);
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t, unsigned) {
  return not_captured(stream);
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  if (!stream || stream->captured) return failed(cudaErrorStreamCaptureUnsupported);
  stream->captured.emplace();
  stream->valid = true;
  ++captures;
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  *graph = nullptr;
  if (!stream->captured) return failed(cudaErrorInvalidValue);
  --captures;
  const CUgraph_st captured = *std::exchange(stream->captured, std::nullopt);
  if (!stream->valid) return failed(cudaErrorStreamCaptureInvalidated);
  *graph = new CUgraph_st(captured);
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  *exec = new CUgraphExec_st{*graph};
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  for (const auto& work : exec->work) {
    if (!simt::keep(stream, work)) work();
  }
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  delete exec;
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new CUevent_st;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  event->time = std::chrono::steady_clock::now();
  return not_captured(stream);
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
    case cudaErrorStreamCaptureUnsupported:
      return "cudaErrorStreamCaptureUnsupported";
    case cudaErrorStreamCaptureInvalidated:
      return "cudaErrorStreamCaptureInvalidated";
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
    case cudaErrorStreamCaptureUnsupported:
      return "operation not permitted when stream is capturing";
    case cudaErrorStreamCaptureInvalidated:
      return "operation failed due to a previous error during capture";
    default:
      return "invalid argument";
  }
}
