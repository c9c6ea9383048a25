// Memory of tensors: a caching pool for each device, so that a training step allocates from the
// system only once.
//
// A GPU's block goes back to the pool while kernels in the queue may still use it. That is right
// because whatever is given the block next runs on the same compute stream, after them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "engine/device.h"

namespace fettle {

/// Bytes of a device's pool.
struct MemoryStats {
  int64_t current = 0;   ///< held by living tensors, whose blocks may be larger
  int64_t peak = 0;      ///< the highest `current` since the start or reset_peak_memory()
  int64_t reserved = 0;  ///< held by the pool, in use or kept for reuse
};

/// Of the device's pool; all 0 of meta.
MemoryStats memory_stats(Device device = Device::cpu());
/// Lets the peak begin anew, at what is held now.
void reset_peak_memory(Device device = Device::cpu());
/// Returns what the pool keeps for reuse to the system.
void release_cached_memory(Device device = Device::cpu());

/// When on, fresh memory holds NaN, so that a kernel that leaves an output unwritten shows.
void set_memory_poison(bool on);

/// Memory of a GPU that a CUDA graph computes in, set aside for its later launches.
class ReservedMemory {
 public:
  explicit ReservedMemory(Device device);
  /// Blocks that nobody holds go back to the pool now, the others when their last owner lets go.
  ~ReservedMemory();
  ReservedMemory(const ReservedMemory&) = delete;
  ReservedMemory& operator=(const ReservedMemory&) = delete;

  struct Blocks;
  /// While it lives, what this thread takes of the device's memory or gives back belongs to the
  /// reserve, and is only taken again while another Use lives. One at a time in a thread.
  class Use {
   public:
    explicit Use(const ReservedMemory& memory);
    ~Use();
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
  };

 private:
  std::shared_ptr<Blocks> blocks_;
};

/// A block of the pool, 64-byte aligned; goes back to the pool when the last owner lets go.
/// Throws Error with the figures when the device has no more memory. nullptr on meta.
std::shared_ptr<std::byte> allocate(size_t bytes, Device device);

/// Copies between any two devices; the host waits where it is one of them. Not for meta.
void copy_memory(std::byte* to, Device to_device, const std::byte* from, Device from_device,
                 size_t bytes);
/// Sets every byte. On meta nothing happens.
void set_memory(std::byte* p, Device device, int value, size_t bytes);

}  // namespace fettle
