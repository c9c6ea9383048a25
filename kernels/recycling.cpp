#include "kernels/recycling.h"

#include <array>
#include <bit>
#include <mutex>
#include <new>

namespace fettle {
namespace {

constexpr size_t smallest = 32, largest = 65536;

#if defined(__SANITIZE_ADDRESS__)
constexpr bool keeps = false;  // so that a use after the end is seen
#else
constexpr bool keeps = true;
#endif

struct Free {
  Free* next;
};

/// Of sizes that double; never destroyed, since what is made of them may outlive every static
/// object.
struct Kept {
  std::mutex mutex;
  std::array<Free*, std::bit_width(largest) + 1> of_width = {};
};
Kept& kept() {
  static Kept* const all = new Kept;
  return *all;
}

size_t rounded(size_t bytes) {
  return std::bit_ceil(bytes < smallest ? smallest : bytes);
}

}  // namespace

void* take_recycled(size_t bytes) {
  if (!keeps || bytes > largest) return ::operator new(bytes);
  const size_t size = rounded(bytes);
  {
    Kept& all = kept();
    const std::scoped_lock lock(all.mutex);
    Free*& first = all.of_width[std::bit_width(size)];
    if (first) return std::exchange(first, first->next);
  }
  return ::operator new(size);
}

void give_recycled(void* block, size_t bytes) noexcept {
  if (!keeps || bytes > largest) return ::operator delete(block);
  Kept& all = kept();
  const std::scoped_lock lock(all.mutex);
  Free*& first = all.of_width[std::bit_width(rounded(bytes))];
  first = new (block) Free{first};
}

}  // namespace fettle
