#include "engine/memory.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <vector>

namespace fettle {
namespace {

// Sizes are rounded up to four classes an octave: at most 25 % waste, and a step that repeats
// finds its own blocks again.
size_t size_class(size_t bytes) {
  if (bytes <= 256) return 256;
  const size_t quarter = std::bit_floor(bytes - 1) / 4;
  return (bytes + quarter - 1) / quarter * quarter;
}

class Pool {
 public:
  std::byte* take(size_t bytes) {
    const std::scoped_lock lock(mutex_);
    auto& free = free_[bytes];
    std::byte* block = nullptr;
    if (!free.empty()) {
      block = free.back();
      free.pop_back();
    } else {
      block = from_system(bytes);
      stats_.reserved += static_cast<int64_t>(bytes);
    }
    stats_.current += static_cast<int64_t>(bytes);
    stats_.peak = std::max(stats_.peak, stats_.current);
    if (poison_) std::memset(block, 0xFF, bytes);  // every float a NaN
    return block;
  }

  void give(std::byte* block, size_t bytes) {
    const std::scoped_lock lock(mutex_);
    free_[bytes].push_back(block);
    stats_.current -= static_cast<int64_t>(bytes);
  }

  MemoryStats stats() {
    const std::scoped_lock lock(mutex_);
    return stats_;
  }
  void reset_peak() {
    const std::scoped_lock lock(mutex_);
    stats_.peak = stats_.current;
  }
  void set_poison(bool on) {
    const std::scoped_lock lock(mutex_);
    poison_ = on;
  }
  void release() {
    const std::scoped_lock lock(mutex_);
    release_locked();
  }

 private:
  std::byte* from_system(size_t bytes) {
    void* block = std::aligned_alloc(64, bytes);
    if (!block) {  // what is cached in other sizes may be enough
      release_locked();
      block = std::aligned_alloc(64, bytes);
    }
    require(block != nullptr, "out of memory: ", bytes >> 20, " MiB more were asked for while ",
            stats_.current >> 20, " MiB are in use; take a smaller batch or smaller pictures");
    return static_cast<std::byte*>(block);
  }
  void release_locked() {
    for (auto& [bytes, blocks] : free_) {
      for (std::byte* block : blocks) std::free(block);
      stats_.reserved -= static_cast<int64_t>(bytes * blocks.size());
      blocks.clear();
    }
  }

  std::mutex mutex_;
  std::map<size_t, std::vector<std::byte*>> free_;
  MemoryStats stats_;
  bool poison_ = false;
};

// Never destroyed: tensors may outlive every static object.
Pool& pool() {
  static Pool* const instance = new Pool;
  return *instance;
}

}  // namespace

MemoryStats memory_stats(Device device) {
  return device.is_meta() ? MemoryStats{} : pool().stats();
}
void reset_peak_memory(Device) {
  pool().reset_peak();
}
void release_cached_memory(Device) {
  pool().release();
}
void set_memory_poison(bool on) {
  pool().set_poison(on);
}

std::shared_ptr<std::byte> allocate(size_t bytes, Device device) {
  if (device.is_meta()) return nullptr;
  require(device.kind == Device::Kind::cpu, "this build of fettle has no memory on ",
          to_string(device));
  const size_t rounded = size_class(bytes);
  std::byte* block = pool().take(rounded);
  return {block, [rounded](std::byte* p) { pool().give(p, rounded); }};
}

}  // namespace fettle
