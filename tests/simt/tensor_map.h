// What a tensor map says on the executor, and which bytes a bulk copy through it moves.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

namespace simt {

/// What lies in the 128 bytes of a TensorMap.
struct Map {
  const std::byte* base;
  uint64_t strides[4];
  uint32_t extents[5];
  uint16_t box[5];
  int16_t lower[2], upper[2];
  uint16_t channels, pixels;
  uint8_t steps[5];
  uint8_t rank, swizzle;
  bool windows, tf32;
};
static_assert(sizeof(Map) <= 128 && std::is_trivially_copyable_v<Map>);

/// 16 bytes of shared memory, of which `bytes` from `skip` on come from global memory.
struct Chunk {
  std::byte* to;
  const std::byte* from;
  uint8_t skip, bytes;
};

/// All chunks of the box at those coordinates, in the order of shared memory.
std::vector<Chunk> chunks_of(const Map& map, std::byte* to, const int* coordinates, int offset_w,
                             int offset_h, const void* pc);

}  // namespace simt
