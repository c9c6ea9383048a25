// Working memory of CPU kernels: one growing, 64-byte aligned block a thread and purpose, so that a
// kernel allocates only the first time.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <new>

#include "kernels/host_memory.h"

namespace fettle {

class Scratch {
 public:
  Scratch() = default;
  ~Scratch() { std::free(block_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  /// At least `count` floats, not initialised; valid until the next call. Throws std::bad_alloc.
  float* floats(int64_t count) {
    if (count > capacity_) {
      std::free(block_);
      capacity_ = (count + 15) / 16 * 16;
      block_ = static_cast<float*>(host_memory(static_cast<size_t>(capacity_) * 4));
      if (!block_) {
        capacity_ = 0;
        throw std::bad_alloc();
      }
    }
    return block_;
  }

 private:
  float* block_ = nullptr;
  int64_t capacity_ = 0;
};

}  // namespace fettle
