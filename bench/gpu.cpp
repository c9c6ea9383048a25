#include "bench/gpu.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <regex>

#include "bench/turns.h"

namespace fettle {
namespace {

class Launches {
 public:
  Launches(size_t buffers, const std::function<void(Cuda, size_t)>& launch)
      : buffers_(buffers), launch_(launch) {
    CHECK(cudaEventCreateWithFlags(&begin_, cudaEventDefault));
    CHECK(cudaEventCreateWithFlags(&end_, cudaEventDefault));
  }
  ~Launches() {
#if !defined(FETTLE_SIMT)
    if (graph_) cudaGraphExecDestroy(graph_);
#endif
    cudaEventDestroy(begin_);
    cudaEventDestroy(end_);
  }
  Launches(const Launches&) = delete;
  Launches& operator=(const Launches&) = delete;

  void run(size_t count) {
    for (size_t i = 0; i < count; ++i) launch_(gpu(), next_++ % buffers_);
  }
  void wait() {
    CHECK(cudaStreamSynchronize(stream_));
  }

  /// From now on time() replays one launch with each buffer. The executor has no graphs.
  void capture() {
#if !defined(FETTLE_SIMT)
    next_ = 0;
    cudaGraph_t graph = nullptr;
    CHECK(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeRelaxed));
    run(buffers_);
    CHECK(cudaStreamEndCapture(stream_, &graph));
    CHECK(cudaGraphInstantiate(&graph_, graph, 0));
    CHECK(cudaGraphDestroy(graph));
#endif
  }

  /// Seconds of one of `count` launches.
  double time(size_t count) {
    CHECK(cudaEventRecord(begin_, stream_));
#if !defined(FETTLE_SIMT)
    if (graph_) {
      CHECK(cudaGraphLaunch(graph_, stream_));
    } else
#endif
      run(count);
    CHECK(cudaEventRecord(end_, stream_));
    CHECK(cudaEventSynchronize(end_));
    float milliseconds = 0;
    CHECK(cudaEventElapsedTime(&milliseconds, begin_, end_));
    return milliseconds / 1000 / static_cast<double>(count);
  }

 private:
  size_t buffers_, next_ = 0;
  const std::function<void(Cuda, size_t)>& launch_;
  cudaStream_t stream_ = static_cast<cudaStream_t>(gpu().stream);
  cudaEvent_t begin_ = nullptr, end_ = nullptr;
#if !defined(FETTLE_SIMT)
  cudaGraphExec_t graph_ = nullptr;
#endif
};

/// As nvidia-smi shows it; CUDA's runtime knows only which CUDA the driver can do.
std::string driver_version() {
  std::ifstream file("/proc/driver/nvidia/version");
  std::string text;
  std::getline(file, text);
  std::smatch found;
  return std::regex_search(text, found, std::regex(R"(\d+\.\d+(\.\d+)?)")) ? found.str()
                                                                           : "unknown";
}

}  // namespace

void check(cudaError_t error, const char* call) {
  if (error == cudaSuccess) return;
  std::fprintf(stderr, "%s failed: %s\n", call, cudaGetErrorString(error));
  std::exit(1);
}

GpuArray gpu_array(int64_t count) {
  void* p = nullptr;
  CHECK(cudaMalloc(&p, static_cast<size_t>(count) * sizeof(float)));
  return {static_cast<float*>(p), [](float* q) { cudaFree(q); }};
}

Cuda gpu() {
  static const cudaStream_t stream = [] {
    cudaStream_t created = nullptr;
    CHECK(cudaStreamCreateWithFlags(&created, cudaStreamDefault));
    return created;
  }();
  return {stream};
}

Times time_launches(size_t buffers, const std::function<void(Cuda, size_t)>& launch, bool graph) {
  Launches launches(buffers, launch);
  launches.run(1);
  launches.wait();
  const auto begin = std::chrono::steady_clock::now();
  launches.run(1);  // to choose how many there will be
  launches.wait();
  const double one =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (graph) launches.capture();
  constexpr double budget = 0.03;
  const size_t count =
      graph ? buffers : static_cast<size_t>(std::clamp(static_cast<int>(0.001 / one), 1, 8));
  const int repeats =
      std::clamp(static_cast<int>(budget / (one * static_cast<double>(count))), 3, 21);
  std::vector<double> seconds;
  for (int repeat = -2; repeat < repeats; ++repeat) {  // two to warm up
    const double found = launches.time(count);
    if (repeat >= 0) seconds.push_back(found);
  }
  std::sort(seconds.begin(), seconds.end());
  return {seconds[seconds.size() / 2], seconds.front(), seconds.back()};
}

double measured_copy() {
  size_t free = 0, total = 0;
  CHECK(cudaMemGetInfo(&free, &total));
  const size_t bytes = std::min<size_t>(4 * more_than_cache, free / 4);
  const GpuArray from = gpu_array(static_cast<int64_t>(bytes / 4));
  const GpuArray to = gpu_array(static_cast<int64_t>(bytes / 4));
  const Floats values = random_values(static_cast<int64_t>(bytes / 64));
  for (size_t at = 0; at < bytes; at += values.size() * 4)  // not zeros, which can be quicker
    CHECK(cudaMemcpy(reinterpret_cast<char*>(from.get()) + at, values.data(),
                     std::min(values.size() * 4, bytes - at), cudaMemcpyHostToDevice));
  const Times times = time_launches(1, [&](Cuda device, size_t) {
    CHECK(cudaMemcpyAsync(to.get(), from.get(), bytes, cudaMemcpyDeviceToDevice,
                          static_cast<cudaStream_t>(device.stream)));
  });
  return 2.0 * static_cast<double>(bytes) / times.least;
}

nlohmann::ordered_json gpu_report(const std::string& program) {
  int count = 0, driver = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess || count == 0) {
    std::fprintf(stderr, "%s: there is no GPU here, so there is nothing to time\n",
                 program.c_str());
    std::exit(1);
  }
  cudaDeviceProp properties;
  CHECK(cudaGetDeviceProperties(&properties, 0));
  CHECK(cudaDriverGetVersion(&driver));
  return {{"program", program},
          {"date", now()},
          {"gpu", properties.name},
          {"driver", driver_version()},
          {"cuda_driver", driver},
          {"compute_capability", properties.major * 10 + properties.minor},
          {"multiprocessors", properties.multiProcessorCount}};
}

}  // namespace fettle
