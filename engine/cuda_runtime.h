// The CUDA runtime as the engine uses it. For each GPU there is one compute stream, on which all
// kernels run in the order in which they were queued, and one stream for uploads beside it. In a
// build without CUDA there is no GPU, and everything but gpus() and why_no_gpu() throws Error.
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
  int64_t total_bytes = 0, free_bytes = 0;
  int compute_capability = 0;  ///< 90 for Hopper
};

/// The GPUs that this process can use; none without a driver.
std::vector<Gpu> gpus();
/// One sentence that says why gpus() is empty, and what to do.
std::string why_no_gpu();

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

/// Ordered with the kernels of the compute stream; the host waits where it is an end of the copy.
void copy_to_gpu(int index, std::byte* to, const std::byte* from, size_t bytes);
void copy_to_host(int index, std::byte* to, const std::byte* from, size_t bytes);
void copy_on_gpu(int index, std::byte* to, const std::byte* from, size_t bytes);
/// Sets every byte.
void set_bytes(int index, std::byte* p, int value, size_t bytes);

/// Copies from the host while kernels compute: through pinned memory, on the upload stream. Two may
/// be under way, so that one batch travels while the one before is used.
class Uploader {
 public:
  explicit Uploader(int index);
  ~Uploader();
  Uploader(const Uploader&) = delete;
  Uploader& operator=(const Uploader&) = delete;

  /// Starts a copy to `to`, which kernels queued until now may still use. `from` can be reused at
  /// once.
  void start(std::byte* to, const void* from, size_t bytes);
  /// Kernels queued from now on wait for the oldest copy that was not finished.
  void finish();

 private:
  struct Lane;
  int index_;
  size_t started_ = 0, finished_ = 0;
  std::array<std::unique_ptr<Lane>, 2> lanes_;
};

}  // namespace fettle::cuda
