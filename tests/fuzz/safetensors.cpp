// libFuzzer: the reader of safetensors files.
#include <sys/mman.h>
#include <unistd.h>

#include <new>

#include "engine/error.h"
#include "io/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const int file = memfd_create("fuzz", 0);
  if (file < 0 || write(file, data, size) != static_cast<ssize_t>(size)) return 0;
  try {
    const fettle::SafetensorsFile tensors(fettle::cat("/proc/self/fd/", file));
    for (const auto& [name, entry] : tensors.entries()) {
      try {
        tensors.read(name);
      } catch (const fettle::Error&) {
      }
    }
  } catch (const fettle::Error&) {
  } catch (const std::bad_alloc&) {
  }
  close(file);
  return 0;
}
