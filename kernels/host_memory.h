// Memory of the host for numbers.
#pragma once

#include <sys/mman.h>

#include <cstddef>
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

}  // namespace fettle
