#include "engine/cuda_runtime.h"

#include "engine/error.h"
#include "kernels/cuda_error.h"

#if defined(FETTLE_CUDA)

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>

namespace fettle::cuda {
namespace {

void check(cudaError_t error, const char* call) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // told here, so it must not be told again
  const std::string kernel = last_cuda_kernel;
  throw Error("CUDA: ", call, " failed: ", cudaGetErrorString(error), " (", cudaGetErrorName(error),
              ")",
              kernel == "none" ? ""
                               : "; the kernel started last was " + kernel +
                                     ", and with CUDA_LAUNCH_BLOCKING=1 in the environment the one "
                                     "that failed is named");
}
#define FETTLE_CHECK(call) check(call, #call)

std::string version_text(int version) {
  return cat(version / 1000, ".", version % 1000 / 10);
}

void make_current(int index) {
  const cudaError_t error = cudaSetDevice(index);
  if (error == cudaErrorInvalidDevice || error == cudaErrorNoDevice ||
      error == cudaErrorInsufficientDriver) {
    cudaGetLastError();
    require_gpu(index);
  }
  check(error, "cudaSetDevice");
}

}  // namespace

/// A pinned buffer that grows as needed, and the event of its last copy.
class Staging {
 public:
  /// Belongs to the current GPU.
  Staging() { FETTLE_CHECK(cudaEventCreateWithFlags(&sent_, cudaEventDisableTiming)); }
  ~Staging() {
    cudaEventSynchronize(sent_);
    cudaEventDestroy(sent_);
    cudaFreeHost(pinned_);
  }
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  /// Waits until the copy before has left, and queues this one.
  void send(std::byte* to, const void* from, size_t bytes, cudaStream_t stream) {
    FETTLE_CHECK(cudaEventSynchronize(sent_));
    if (bytes_ < bytes) grow(std::max(bytes, size_t{4096}));
    std::memcpy(pinned_, from, bytes);
    FETTLE_CHECK(cudaMemcpyAsync(to, pinned_, bytes, cudaMemcpyHostToDevice, stream));
    FETTLE_CHECK(cudaEventRecord(sent_, stream));
  }
  /// What is queued on `stream` from now on waits for the last copy.
  void hold(cudaStream_t stream) const { FETTLE_CHECK(cudaStreamWaitEvent(stream, sent_, 0)); }

 private:
  void grow(size_t bytes) {
    bytes_ = 0;
    FETTLE_CHECK(cudaFreeHost(std::exchange(pinned_, nullptr)));
    const cudaError_t error = cudaMallocHost(&pinned_, bytes);
    if (error == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      throw Error("the system gives no ", (bytes + (1 << 20) - 1) >> 20,
                  " MiB of pinned memory for copies to the GPU; take a smaller batch");
    }
    check(error, "cudaMallocHost");
    bytes_ = bytes;
  }

  void* pinned_ = nullptr;
  size_t bytes_ = 0;
  cudaEvent_t sent_ = nullptr;
};

namespace {

/// What a GPU has from its first use on. Never destroyed: tensors may outlive every static object.
struct Queue {
  cudaStream_t compute = nullptr, upload = nullptr;

  Queue() {
    FETTLE_CHECK(cudaStreamCreateWithFlags(&compute, cudaStreamNonBlocking));
    FETTLE_CHECK(cudaStreamCreateWithFlags(&upload, cudaStreamNonBlocking));
    FETTLE_CHECK(cudaEventCreateWithFlags(&queued_, cudaEventDisableTiming));
  }
  /// Uploads from now on wait for the kernels that are queued.
  void hold_uploads() const {
    FETTLE_CHECK(cudaEventRecord(queued_, compute));
    FETTLE_CHECK(cudaStreamWaitEvent(upload, queued_, 0));
  }
  /// Copies a few bytes in order with the kernels, without waiting for them.
  void send(std::byte* to, const std::byte* from, size_t bytes) {
    const std::scoped_lock lock(mutex_);
    ring_[next_++ % ring_.size()].send(to, from, bytes, compute);
  }

 private:
  cudaEvent_t queued_ = nullptr;
  std::mutex mutex_;
  std::array<Staging, 32> ring_;
  size_t next_ = 0;
};

/// The GPU's queue; makes the GPU current.
Queue& queue(int index) {
  static std::mutex mutex;
  static std::map<int, std::unique_ptr<Queue>>* const all =
      new std::map<int, std::unique_ptr<Queue>>;
  make_current(index);
  const std::scoped_lock lock(mutex);
  std::unique_ptr<Queue>& mine = (*all)[index];
  if (!mine) mine = std::make_unique<Queue>();
  return *mine;
}

/// The graph that this thread's work goes into.
thread_local Graph* capturing = nullptr;

void require_none_captured(const char* what) {
  require(!capturing, what, " cannot be part of a CUDA graph, which starts again without the host");
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
    all.push_back({i, properties.name, static_cast<int64_t>(properties.totalGlobalMem),
                   properties.major * 10 + properties.minor});
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

void require_gpu(int index) {
  const size_t count = gpus().size();
  require(count > 0, why_no_gpu());
  require(index >= 0 && static_cast<size_t>(index) < count, "there is no cuda:", index, "; there ",
          count == 1 ? "is one GPU, cuda:0" : cat("are the GPUs cuda:0 to cuda:", count - 1));
}

Cuda use(int index) {
  return {queue(index).compute};
}

void synchronize(int index) {
  require_none_captured("waiting for the GPU");
  FETTLE_CHECK(cudaStreamSynchronize(queue(index).compute));
}

std::byte* allocate(int index, size_t bytes) {
  make_current(index);
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
  make_current(index);
  FETTLE_CHECK(cudaFree(p));
}

MemoryInfo memory_info(int index) {
  MemoryInfo info;
  make_current(index);
  FETTLE_CHECK(cudaMemGetInfo(&info.free, &info.total));
  return info;
}

void copy_to_gpu(int index, std::byte* to, const std::byte* from, size_t bytes) {
  if (capturing) {
    std::memcpy(capturing->copy_at_each_launch(to, bytes), from, bytes);
    return;
  }
  Queue& q = queue(index);
  if (bytes <= (1 << 20)) {
    q.send(to, from, bytes);
    return;
  }
  FETTLE_CHECK(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, q.compute));
  FETTLE_CHECK(cudaStreamSynchronize(q.compute));
}
void copy_to_host(int index, std::byte* to, const std::byte* from, size_t bytes) {
  require_none_captured("reading a tensor on the host");
  const cudaStream_t stream = queue(index).compute;
  FETTLE_CHECK(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream));
  FETTLE_CHECK(cudaStreamSynchronize(stream));
}
void copy_on_gpu(int index, std::byte* to, const std::byte* from, size_t bytes) {
  FETTLE_CHECK(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, queue(index).compute));
}
void set_bytes(int index, std::byte* p, int value, size_t bytes) {
  FETTLE_CHECK(cudaMemsetAsync(p, value, bytes, queue(index).compute));
}

struct Graph::Parts {
  cudaStream_t stream = nullptr;
  cudaGraphExec_t graph = nullptr;
  cudaEvent_t done = nullptr;
  std::vector<void*> pinned;

  ~Parts() {
    cudaEventSynchronize(done);
    if (graph) cudaGraphExecDestroy(graph);
    cudaEventDestroy(done);
    for (void* p : pinned) cudaFreeHost(p);
  }
};

Graph::Graph(int index) : index_(index), parts_(std::make_unique<Parts>()) {
  parts_->stream = queue(index).compute;
  FETTLE_CHECK(cudaEventCreateWithFlags(&parts_->done, cudaEventDisableTiming));
}
Graph::~Graph() {
  cudaSetDevice(index_);
  if (capturing == this) cancel();
}

void Graph::begin() {
  require(!capturing, "a CUDA graph cannot be made within another");
  make_current(index_);
  keep_scratch({parts_->stream});
  // Relaxed: what the work allocates for the first time is allocated at once.
  FETTLE_CHECK(cudaStreamBeginCapture(parts_->stream, cudaStreamCaptureModeRelaxed));
  capturing = this;
}

void Graph::end() {
  capturing = nullptr;
  cudaGraph_t captured = nullptr;
  FETTLE_CHECK(cudaStreamEndCapture(parts_->stream, &captured));
  const cudaError_t error = cudaGraphInstantiate(&parts_->graph, captured, 0);
  cudaGraphDestroy(captured);
  check(error, "cudaGraphInstantiate");
}

void Graph::cancel() {
  if (capturing != this) return;
  capturing = nullptr;
  cudaGraph_t captured = nullptr;
  cudaStreamEndCapture(parts_->stream, &captured);
  if (captured) cudaGraphDestroy(captured);
  cudaGetLastError();  // the work's own error was told
}

std::byte* Graph::copy_at_each_launch(std::byte* to, size_t bytes) {
  void* pinned = nullptr;
  FETTLE_CHECK(cudaMallocHost(&pinned, bytes));
  parts_->pinned.push_back(pinned);
  FETTLE_CHECK(cudaMemcpyAsync(to, pinned, bytes, cudaMemcpyHostToDevice, parts_->stream));
  return static_cast<std::byte*>(pinned);
}

void Graph::wait() {
  FETTLE_CHECK(cudaEventSynchronize(parts_->done));
}

void Graph::launch() {
  make_current(index_);
  FETTLE_CHECK(cudaGraphLaunch(parts_->graph, parts_->stream));
  FETTLE_CHECK(cudaEventRecord(parts_->done, parts_->stream));
}

Uploader::Uploader(int index) : index_(index) {
  make_current(index);
  for (auto& staging : staging_) staging = std::make_unique<Staging>();
}
Uploader::~Uploader() {
  cudaSetDevice(index_);
}

void Uploader::start(std::byte* to, const void* from, size_t bytes) {
  const Queue& q = queue(index_);
  q.hold_uploads();  // kernels in the queue may still use the memory that `to` is made of
  staging_[started_++ % staging_.size()]->send(to, from, bytes, q.upload);
}

void Uploader::finish() {
  if (started_ == 0) return;
  // Copies of one stream end in their order.
  staging_[(started_ - 1) % staging_.size()]->hold(queue(index_).compute);
}

}  // namespace fettle::cuda

#else

namespace fettle::cuda {

std::vector<Gpu> gpus() {
  return {};
}
std::string why_no_gpu() {
  return "this build of fettle has no CUDA kernels: it was made without a CUDA toolkit; build it "
         "where nvcc 12.4 or newer is installed and without -DFETTLE_CUDA=OFF, or use --device cpu";
}

namespace {
[[noreturn]] void none() {
  throw Error(why_no_gpu());
}
}  // namespace

void require_gpu(int) {
  none();
}
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

struct Graph::Parts {};
Graph::Graph(int index) : index_(index) {
  none();
}
Graph::~Graph() = default;
void Graph::begin() {
  none();
}
void Graph::end() {
  none();
}
void Graph::cancel() {}
std::byte* Graph::copy_at_each_launch(std::byte*, size_t) {
  none();
}
void Graph::wait() {
  none();
}
void Graph::launch() {
  none();
}

class Staging {};
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
