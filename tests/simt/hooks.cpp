// The functions that -fsanitize=thread makes the compiler call at every load and store of a kernel
// file. They stand here in place of that sanitizer's own library.
#include "tests/simt/state.h"

namespace simt {
namespace {
inline void touch(const void* address, size_t bytes, Access access, const void* pc) {
  if (current && !in_executor) check_access(address, bytes, access, pc);
}
}  // namespace
}  // namespace simt

#define HOOK(name, bytes, access)                                                   \
  void name(void* address) {                                                        \
    simt::touch(address, bytes, simt::Access::access, __builtin_return_address(0)); \
  }
#define HOOKS(bytes)                                \
  HOOK(__tsan_read##bytes, bytes, read)             \
  HOOK(__tsan_write##bytes, bytes, write)           \
  HOOK(__tsan_unaligned_read##bytes, bytes, read)   \
  HOOK(__tsan_unaligned_write##bytes, bytes, write) \
  HOOK(__tsan_volatile_read##bytes, bytes, read)    \
  HOOK(__tsan_volatile_write##bytes, bytes, write)

extern "C" {
HOOKS(1)
HOOKS(2)
HOOKS(4)
HOOKS(8)
HOOKS(16)
void __tsan_read_range(void* address, size_t bytes) {
  simt::touch(address, bytes, simt::Access::read, __builtin_return_address(0));
}
void __tsan_write_range(void* address, size_t bytes) {
  simt::touch(address, bytes, simt::Access::write, __builtin_return_address(0));
}
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void*, void*) {}
void __tsan_vptr_read(void*) {}
// Of the guards of static objects and of shared pointers, in host code.
unsigned char __tsan_atomic8_load(const volatile unsigned char* p, int) {
  return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}
unsigned __tsan_atomic32_fetch_add(volatile unsigned* p, unsigned value, int) {
  return __atomic_fetch_add(p, value, __ATOMIC_ACQ_REL);
}
}
