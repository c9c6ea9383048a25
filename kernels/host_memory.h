// Memory of the host for numbers.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace fettle {

/// So many bytes, 64-byte aligned, not initialised; nullptr where the system has no more.
/// std::free() gives them back. Large blocks lie on huge pages, where there are some: a hundredth
/// of the faults, and of the translations that the processor must keep in mind.
inline void* host_memory(size_t bytes) {
  constexpr size_t huge = size_t{2} << 20;
  const bool large = bytes >= 2 * huge;
  const size_t alignment = large ? huge : 64;
  void* p = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
#if defined(MADV_HUGEPAGE)
  if (p && large) madvise(p, bytes, MADV_HUGEPAGE);
#endif
  return p;
}

/// Gives whole pages of a mapped file back to the system. They are there again when they are looked
/// at.
inline void give_back_file_pages(const void* first, size_t bytes) {
  constexpr uintptr_t page = 4096;
  const auto begin = (reinterpret_cast<uintptr_t>(first) + page - 1) / page * page;
  const auto end = (reinterpret_cast<uintptr_t>(first) + bytes) / page * page;
  // Where pages are larger, the system refuses what is no whole one.
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

}  // namespace fettle
