// The CUDA runtime as the engine uses it. For each GPU there is one compute stream, on which all
// kernels run in the order in which they were queued, and one stream for uploads beside it. In a
// build without CUDA there is no GPU, and everything but gpus() and why_no_gpu() throws Error.
//
// Kernels fail after they were started: the Error of whatever call meets the failure names the
// kernel that was started last.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/device.h"

namespace fettle::cuda {

struct Gpu {
  int index = 0;
  std::string name;
  int64_t total_bytes = 0;
  int compute_capability = 0;  ///< 90 for Hopper
};

/// The GPUs that this process can use; none without a driver. Looks at them without starting work
/// on any.
std::vector<Gpu> gpus();
/// One sentence that says why gpus() is empty, and what to do.
std::string why_no_gpu();
/// Throws Error saying which GPUs there are, unless this is one of them.
void require_gpu(int index);

/// Makes the GPU current and gives its compute stream.
Cuda use(int index);
/// Waits for all work of the GPU. Throws Error when a kernel failed.
void synchronize(int index);

/// nullptr when the GPU has not so much memory left.
std::byte* allocate(int index, size_t bytes);
void release(int index, std::byte* p);
struct MemoryInfo {
  size_t free = 0, total = 0;
};
MemoryInfo memory_info(int index);

/// Ordered with the kernels of the compute stream. `from` can be reused at once; up to 1 MiB
/// travels through pinned memory, so that the host does not wait for the kernels before it. A Graph
/// keeps the bytes themselves, so that each launch copies those of now.
void copy_to_gpu(int index, std::byte* to, const std::byte* from, size_t bytes);
/// Ordered with the kernels of the compute stream; the host waits for the bytes.
void copy_to_host(int index, std::byte* to, const std::byte* from, size_t bytes);
/// Ordered with the kernels of the compute stream.
void copy_on_gpu(int index, std::byte* to, const std::byte* from, size_t bytes);
/// Sets every byte, ordered with the kernels of the compute stream.
void set_bytes(int index, std::byte* p, int value, size_t bytes);

/// What was queued on the compute stream between begin() and end(), kept as one CUDA graph instead
/// of being done, and done as often as it is launched. Meanwhile the host can wait for nothing
/// there: synchronize() and copy_to_host() throw Error.
class Graph {
 public:
  explicit Graph(int index);
  /// Waits for the last launch.
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  /// From now on the calling thread's work is kept. One graph at a time in a thread.
  void begin();
  /// Ends that, and makes the graph.
  void end();
  /// Ends that without a graph. Does nothing after end().
  void cancel();
  /// Between begin() and end(): keeps a copy to `to` of bytes that each launch reads anew; until
  /// they are written there, the caller's to fill. They are pinned memory of the graph.
  std::byte* copy_at_each_launch(std::byte* to, size_t bytes);
  /// Waits until the last launch is done with that memory.
  void wait();
  void launch();

 private:
  struct Parts;
  int index_;
  std::unique_ptr<Parts> parts_;
};

/// Pinned memory on the way to a GPU.
class Staging;

/// Copies from the host while kernels compute: through pinned memory, on the upload stream.
class Uploader {
 public:
  explicit Uploader(int index);
  /// Waits for the copies under way.
  ~Uploader();
  Uploader(const Uploader&) = delete;
  Uploader& operator=(const Uploader&) = delete;

  /// Starts a copy to `to`, which kernels queued until now may still use. `from` can be reused at
  /// once. The fourth copy under way makes the host wait for the first.
  void start(std::byte* to, const void* from, size_t bytes);
  /// Kernels queued from now on wait for all copies that were started.
  void finish();

 private:
  int index_;
  size_t started_ = 0;
  std::array<std::unique_ptr<Staging>, 3> staging_;
};

}  // namespace fettle::cuda
