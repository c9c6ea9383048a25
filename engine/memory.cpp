#include "engine/memory.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "kernels/host_memory.h"
#include "kernels/recycling.h"

namespace fettle {

/// Those that nobody holds, by size.
struct ReservedMemory::Blocks {
  Device device;
  std::map<size_t, std::vector<std::byte*>> free = {};
  bool open = true;
};

namespace {

using Reserve = std::shared_ptr<ReservedMemory::Blocks>;
thread_local const Reserve* in_use = nullptr;  // of the Use that lives

std::atomic<bool> poison_all = false;

// Sizes are rounded up to 32 classes an octave, so that a step that repeats finds its own blocks
// again: at most 3 % waste, and none of pictures whose sides are 7 or 28 times a power of two.
size_t size_class(size_t bytes) {
  if (bytes <= 256) return 256;
  const size_t step = std::max(std::bit_floor(bytes - 1) / 32, size_t{256});
  return (bytes + step - 1) / step * step;
}

std::string mebibytes(size_t bytes) {
  return cat((bytes + (size_t{1} << 19)) >> 20, " MiB");
}

/// Memory of the system, as large as it was asked for.
struct Block {
  std::byte* first = nullptr;
  size_t bytes = 0;
};

/// The smallest free block of `bytes` to `most`.
Block pop(std::map<size_t, std::vector<std::byte*>>& blocks, size_t bytes, size_t most) {
  for (auto at = blocks.lower_bound(bytes); at != blocks.end() && at->first <= most; ++at) {
    if (at->second.empty()) continue;
    const Block block{at->second.back(), at->first};
    at->second.pop_back();
    return block;
  }
  return {};
}

class Pool {
 public:
  explicit Pool(Device device) : device_(device) {}

  /// Of the reserve first, if there is one.
  Block take(size_t bytes, ReservedMemory::Blocks* reserve) {
    const std::scoped_lock lock(mutex_);
    // A GPU has no more memory than it has: there a block that is up to twice too large serves
    // before the system is asked. On the host each size keeps its own blocks, so that a step that
    // repeats asks for nothing.
    const size_t most = device_.is_cuda() ? 2 * bytes : bytes;
    Block block = reserve ? pop(reserve->free, bytes, most) : Block();
    if (!block.first) block = pop(free_, bytes, most);
    if (!block.first) {
      block = {from_system(bytes, reserve != nullptr), bytes};
      stats_.reserved += static_cast<int64_t>(bytes);
    }
    stats_.current += static_cast<int64_t>(bytes);
    stats_.peak = std::max(stats_.peak, stats_.current);
    if (poison_all) set_memory(block.first, device_, 0xFF, bytes);  // every float a NaN
    return block;
  }

  /// `bytes` were asked for.
  void give(Block block, size_t bytes, ReservedMemory::Blocks* reserve) {
    const std::scoped_lock lock(mutex_);
    (reserve && reserve->open ? reserve->free : free_)[block.bytes].push_back(block.first);
    stats_.current -= static_cast<int64_t>(bytes);
  }

  void close(ReservedMemory::Blocks& reserve) {
    const std::scoped_lock lock(mutex_);
    reserve.open = false;
    for (const auto& [bytes, blocks] : reserve.free) {
      free_[bytes].insert(free_[bytes].end(), blocks.begin(), blocks.end());
    }
  }

  MemoryStats stats() {
    const std::scoped_lock lock(mutex_);
    return stats_;
  }
  void reset_peak() {
    const std::scoped_lock lock(mutex_);
    stats_.peak = stats_.current;
  }
  void release() {
    const std::scoped_lock lock(mutex_);
    release_locked();
  }

 private:
  std::byte* try_system(size_t bytes) {
    if (device_.is_cuda()) return cuda::allocate(device_.index, bytes);
    return static_cast<std::byte*>(host_memory(bytes));
  }
  std::byte* from_system(size_t bytes, bool for_graph) {
    std::byte* block = try_system(bytes);
    // Nothing can be freed while a graph is being captured.
    if (!block && !for_graph) {  // what is cached in other sizes may be enough
      release_locked();
      block = try_system(bytes);
    }
    if (!block) throw Error(out_of_memory(bytes));
    return block;
  }
  std::string out_of_memory(size_t bytes) const {
    std::string text = cat("out of memory on ", to_string(device_), ": ", mebibytes(bytes),
                           " more were asked for while ",
                           mebibytes(static_cast<size_t>(stats_.current)), " are in use");
    if (device_.is_cuda()) {
      const cuda::MemoryInfo info = cuda::memory_info(device_.index);
      text += cat(" and ", mebibytes(info.free), " of ", mebibytes(info.total), " are free");
    }
    return text + "; take a smaller batch or smaller pictures";
  }
  void release_locked() {
    for (auto& [bytes, blocks] : free_) {
      for (std::byte* block : blocks) {
        if (device_.is_cuda()) {
          cuda::release(device_.index, block);
        } else {
          std::free(block);
        }
      }
      stats_.reserved -= static_cast<int64_t>(bytes * blocks.size());
      blocks.clear();
    }
  }

  Device device_;
  std::mutex mutex_;
  std::map<size_t, std::vector<std::byte*>> free_;
  MemoryStats stats_;
};

// Pools are never destroyed: tensors may outlive every static object.
Pool& pool(Device device) {
  static std::mutex mutex;
  static std::map<int, std::unique_ptr<Pool>>* const pools =
      new std::map<int, std::unique_ptr<Pool>>;
  const std::scoped_lock lock(mutex);
  std::unique_ptr<Pool>& mine = (*pools)[device.is_cuda() ? device.index : -1];
  if (!mine) mine = std::make_unique<Pool>(device);
  return *mine;
}

/// The reserve that this thread's memory belongs to; nullptr: the pool's.
Reserve reserve_of(Device device) {
  return in_use && (*in_use)->device == device ? *in_use : nullptr;
}

}  // namespace

MemoryStats memory_stats(Device device) {
  return device.is_meta() ? MemoryStats{} : pool(device).stats();
}
void reset_peak_memory(Device device) {
  pool(device).reset_peak();
}
void release_cached_memory(Device device) {
  pool(device).release();
}
void set_memory_poison(bool on) {
  poison_all = on;
}

std::shared_ptr<std::byte> allocate(size_t bytes, Device device) {
  if (device.is_meta()) return nullptr;
  const size_t rounded = size_class(bytes);
  Pool& mine = pool(device);
  const Reserve reserve = reserve_of(device);
  const Block block = mine.take(rounded, reserve.get());
  const auto give = [block, rounded, device, &mine, reserve](std::byte*) {
    const Reserve now = reserve_of(device);
    mine.give(block, rounded, (now ? now : reserve).get());
  };
  return {block.first, give, RecyclingAllocator<std::byte>()};
}

ReservedMemory::ReservedMemory(Device device) : blocks_(std::make_shared<Blocks>(Blocks{device})) {}
ReservedMemory::~ReservedMemory() {
  pool(blocks_->device).close(*blocks_);
}
ReservedMemory::Use::Use(const ReservedMemory& memory) {
  in_use = &memory.blocks_;
}
ReservedMemory::Use::~Use() {
  in_use = nullptr;
}

void copy_memory(std::byte* to, Device to_device, const std::byte* from, Device from_device,
                 size_t bytes) {
  require(!to_device.is_meta() && !from_device.is_meta(), "a meta tensor has no elements to copy");
  if (bytes == 0) return;
  if (!to_device.is_cuda() && !from_device.is_cuda()) {
    std::memcpy(to, from, bytes);
  } else if (!from_device.is_cuda()) {
    cuda::copy_to_gpu(to_device.index, to, from, bytes);
  } else if (!to_device.is_cuda()) {
    cuda::copy_to_host(from_device.index, to, from, bytes);
  } else {
    if (to_device != from_device) cuda::synchronize(from_device.index);
    cuda::copy_on_gpu(to_device.index, to, from, bytes);
    if (to_device != from_device) cuda::synchronize(to_device.index);
  }
}

void set_memory(std::byte* p, Device device, int value, size_t bytes) {
  if (device.is_meta() || bytes == 0) return;
  if (device.is_cuda()) {
    cuda::set_bytes(device.index, p, value, bytes);
  } else {
    std::memset(p, value, bytes);
  }
}

}  // namespace fettle
