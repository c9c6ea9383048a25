// Small blocks of memory that are kept when they are given back. What a training step makes anew
// each time (records of the tape, lists) is made of them, so that only the first step asks the
// system.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace fettle {

/// `bytes` bytes for objects of any type, of those given back or, where there are none, of the
/// heap; more than 64 KiB always of the heap. From any thread. Throws std::bad_alloc.
void* take_recycled(size_t bytes);
/// Keeps a block of take_recycled(bytes) for whoever asks next. Under AddressSanitizer it is freed.
void give_recycled(void* block, size_t bytes) noexcept;

template <class T>
struct RecyclingAllocator {
  using value_type = T;
  static_assert(alignof(T) <= alignof(std::max_align_t));

  RecyclingAllocator() = default;
  template <class U>
  RecyclingAllocator(const RecyclingAllocator<U>&) noexcept {}
  T* allocate(size_t n) { return static_cast<T*>(take_recycled(n * sizeof(T))); }
  void deallocate(T* block, size_t n) noexcept { give_recycled(block, n * sizeof(T)); }
  template <class U>
  bool operator==(const RecyclingAllocator<U>&) const {
    return true;
  }
};

template <class T>
using RecycledVector = std::vector<T, RecyclingAllocator<T>>;

template <class T, class... Arguments>
std::shared_ptr<T> make_recycled(Arguments&&... arguments) {
  return std::allocate_shared<T>(RecyclingAllocator<T>(), std::forward<Arguments>(arguments)...);
}

}  // namespace fettle
