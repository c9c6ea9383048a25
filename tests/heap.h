// Replaces operator new and delete of a test program, to count what is asked for and to refuse it.
// One file of the program includes this.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace fettle::heap {

/// Memory that ends: while it is not negative, that many allocations succeed, in every thread.
inline std::atomic<int64_t> left{-1};

inline bool exhausted() {
  return left >= 0 && left.fetch_sub(1) <= 0;
}

/// How many allocations f() makes in all threads.
template <class F>
int64_t allocations(const F& f) {
  constexpr int64_t many = int64_t{1} << 40;
  left = many;
  f();
  return many - left.exchange(-1);
}

}  // namespace fettle::heap

// Not inlined, where the compiler would see malloc() and free() beside new and delete.
__attribute__((noinline)) void* operator new(size_t size) {
  void* p = fettle::heap::exhausted() ? nullptr : std::malloc(size);
  if (!p) throw std::bad_alloc();
  return p;
}
__attribute__((noinline)) void* operator new(size_t size, const std::nothrow_t&) noexcept {
  return fettle::heap::exhausted() ? nullptr : std::malloc(size);
}
__attribute__((noinline)) void operator delete(void* p) noexcept {
  std::free(p);
}
__attribute__((noinline)) void operator delete(void* p, size_t) noexcept {
  std::free(p);
}
