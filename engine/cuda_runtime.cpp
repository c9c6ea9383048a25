#include "engine/cuda_runtime.h"

#include "engine/error.h"
#include "kernels/cuda_error.h"

#if defined(FETTLE_CUDA)

#include <cuda_runtime_api.h>

#include <cstring>
#include <map>
#include <mutex>

namespace fettle::cuda {
namespace {

void check(cudaError_t error, const char* call) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // told here, so it must not be told again
  throw Error("CUDA: ", call, " failed: ", cudaGetErrorString(error), " (", cudaGetErrorName(error),
              ")");
}
#define FETTLE_CHECK(call) check(call, #call)

std::string version_text(int version) {
  return cat(version / 1000, ".", version % 1000 / 10);
}

struct Streams {
  cudaStream_t compute = nullptr, upload = nullptr;
};

/// Made at the first use of a GPU and never destroyed: tensors may outlive every static object.
Streams& streams(int index) {
  static std::mutex mutex;
  static std::map<int, Streams>* const all = new std::map<int, Streams>;
  const std::scoped_lock lock(mutex);
  Streams& mine = (*all)[index];
  if (!mine.compute) {
    FETTLE_CHECK(cudaStreamCreateWithFlags(&mine.compute, cudaStreamNonBlocking));
    FETTLE_CHECK(cudaStreamCreateWithFlags(&mine.upload, cudaStreamNonBlocking));
  }
  return mine;
}

Streams& streams_of_current(int index) {
  FETTLE_CHECK(cudaSetDevice(index));
  return streams(index);
}

}  // namespace

std::vector<Gpu> gpus() {
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) {
    cudaGetLastError();
    return {};
  }
  std::vector<Gpu> all;
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp properties;
    FETTLE_CHECK(cudaGetDeviceProperties(&properties, i));
    const MemoryInfo memory = memory_info(i);
    all.push_back({i, properties.name, static_cast<int64_t>(memory.total),
                   static_cast<int64_t>(memory.free), properties.major * 10 + properties.minor});
  }
  return all;
}

std::string why_no_gpu() {
  int count = 0, driver = 0, runtime = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  cudaGetLastError();
  cudaDriverGetVersion(&driver);
  cudaRuntimeGetVersion(&runtime);
  if (driver == 0) {
    return "no NVIDIA driver is installed here; install it, or use --device cpu";
  }
  if (error == cudaErrorInsufficientDriver) {
    return cat("the NVIDIA driver knows CUDA ", version_text(driver), ", but fettle was built for ",
               version_text(runtime), "; update the driver, or use --device cpu");
  }
  if (error == cudaErrorNoDevice || error == cudaSuccess) {
    return "the NVIDIA driver shows no GPU to this process; use --device cpu";
  }
  return cat("the NVIDIA driver answers: ", cudaGetErrorString(error), "; use --device cpu");
}

Cuda use(int index) {
  return {streams_of_current(index).compute};
}

void synchronize(int index) {
  FETTLE_CHECK(cudaStreamSynchronize(streams_of_current(index).compute));
}

std::byte* allocate(int index, size_t bytes) {
  FETTLE_CHECK(cudaSetDevice(index));
  void* p = nullptr;
  const cudaError_t error = cudaMalloc(&p, bytes);
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    return nullptr;
  }
  check(error, "cudaMalloc");
  return static_cast<std::byte*>(p);
}

void release(int index, std::byte* p) {
  FETTLE_CHECK(cudaSetDevice(index));
  FETTLE_CHECK(cudaFree(p));
}

MemoryInfo memory_info(int index) {
  MemoryInfo info;
  FETTLE_CHECK(cudaSetDevice(index));
  FETTLE_CHECK(cudaMemGetInfo(&info.free, &info.total));
  return info;
}

void copy_to_gpu(int index, std::byte* to, const std::byte* from, size_t bytes) {
  const cudaStream_t stream = streams_of_current(index).compute;
  FETTLE_CHECK(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream));
  FETTLE_CHECK(cudaStreamSynchronize(stream));
}
void copy_to_host(int index, std::byte* to, const std::byte* from, size_t bytes) {
  const cudaStream_t stream = streams_of_current(index).compute;
  FETTLE_CHECK(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream));
  FETTLE_CHECK(cudaStreamSynchronize(stream));
}
void copy_on_gpu(int index, std::byte* to, const std::byte* from, size_t bytes) {
  FETTLE_CHECK(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice,
                               streams_of_current(index).compute));
}
void set_bytes(int index, std::byte* p, int value, size_t bytes) {
  FETTLE_CHECK(cudaMemsetAsync(p, value, bytes, streams_of_current(index).compute));
}

/// A pinned buffer and the events of its last copy.
struct Uploader::Lane {
  void* pinned = nullptr;
  size_t bytes = 0;
  cudaEvent_t copied = nullptr, before = nullptr;

  Lane() {
    FETTLE_CHECK(cudaEventCreateWithFlags(&copied, cudaEventDisableTiming));
    FETTLE_CHECK(cudaEventCreateWithFlags(&before, cudaEventDisableTiming));
  }
  ~Lane() {
    cudaEventSynchronize(copied);
    cudaFreeHost(pinned);
    cudaEventDestroy(copied);
    cudaEventDestroy(before);
  }
};

Uploader::Uploader(int index) : index_(index) {
  FETTLE_CHECK(cudaSetDevice(index));
  for (auto& lane : lanes_) lane = std::make_unique<Lane>();
}
Uploader::~Uploader() {
  cudaSetDevice(index_);
}

void Uploader::start(std::byte* to, const void* from, size_t bytes) {
  const Streams& s = streams_of_current(index_);
  Lane& lane = *lanes_[started_++ % lanes_.size()];
  FETTLE_CHECK(cudaEventSynchronize(lane.copied));
  if (lane.bytes < bytes) {
    FETTLE_CHECK(cudaFreeHost(lane.pinned));
    lane.pinned = nullptr;
    lane.bytes = 0;
    FETTLE_CHECK(cudaMallocHost(&lane.pinned, bytes));
    lane.bytes = bytes;
  }
  std::memcpy(lane.pinned, from, bytes);
  // Kernels in the queue may still use the memory that `to` is made of.
  FETTLE_CHECK(cudaEventRecord(lane.before, s.compute));
  FETTLE_CHECK(cudaStreamWaitEvent(s.upload, lane.before, 0));
  FETTLE_CHECK(cudaMemcpyAsync(to, lane.pinned, bytes, cudaMemcpyHostToDevice, s.upload));
  FETTLE_CHECK(cudaEventRecord(lane.copied, s.upload));
}

void Uploader::finish() {
  require(finished_ < started_, "Uploader: no copy is under way");
  const Lane& lane = *lanes_[finished_++ % lanes_.size()];
  FETTLE_CHECK(cudaStreamWaitEvent(streams_of_current(index_).compute, lane.copied, 0));
}

}  // namespace fettle::cuda

#else

namespace fettle::cuda {

std::vector<Gpu> gpus() {
  return {};
}
std::string why_no_gpu() {
  return "this build of fettle has no CUDA kernels, since no CUDA toolkit was found when it was "
         "built; build it where nvcc 12.4 or newer is installed, or use --device cpu";
}

namespace {
[[noreturn]] void none() {
  throw Error(why_no_gpu());
}
}  // namespace

Cuda use(int) {
  none();
}
void synchronize(int) {
  none();
}
std::byte* allocate(int, size_t) {
  none();
}
void release(int, std::byte*) {
  none();
}
MemoryInfo memory_info(int) {
  none();
}
void copy_to_gpu(int, std::byte*, const std::byte*, size_t) {
  none();
}
void copy_to_host(int, std::byte*, const std::byte*, size_t) {
  none();
}
void copy_on_gpu(int, std::byte*, const std::byte*, size_t) {
  none();
}
void set_bytes(int, std::byte*, int, size_t) {
  none();
}

struct Uploader::Lane {};
Uploader::Uploader(int index) : index_(index) {
  none();
}
Uploader::~Uploader() = default;
void Uploader::start(std::byte*, const void*, size_t) {
  none();
}
void Uploader::finish() {
  none();
}

}  // namespace fettle::cuda

#endif
