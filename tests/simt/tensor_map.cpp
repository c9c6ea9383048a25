#include "tests/simt/tensor_map.h"

#include <algorithm>
#include <cstring>

#include "tests/simt/state.h"

namespace simt {
namespace {

std::byte* swizzled(std::byte* to, int swizzle) {
  const uint32_t offset = shared_offset(to), mask = (1u << swizzle) - 1;
  return shared_at(offset ^ (offset >> 7 & mask) << 4);
}

/// Adds the chunks of one line of a box: elements from `first` on of a line that begins at `from`,
/// or zeros where `from` is nullptr.
void add_line(const Map& map, std::byte* to, size_t bytes, const std::byte* from, int64_t first,
              std::vector<Chunk>& chunks) {
  const int64_t size = map.tf32 ? 4 : 2, end = map.extents[0] * size;
  for (size_t at = 0; at < bytes; at += 16) {
    const int64_t begin = first * size + static_cast<int64_t>(at);
    const int64_t low = std::clamp<int64_t>(-begin, 0, 16);
    const int64_t high = std::clamp<int64_t>(end - begin, low, 16);
    const bool inside = from && high > low;
    chunks.push_back({swizzled(to + at, map.swizzle), inside ? from + begin + low : nullptr,
                      static_cast<uint8_t>(low), static_cast<uint8_t>(inside ? high - low : 0)});
  }
}

std::vector<Chunk> tiled_chunks(const Map& map, std::byte* to, const int* c) {
  std::vector<Chunk> chunks;
  const size_t line = map.box[0] * (map.tf32 ? 4u : 2u);
  int index[5] = {};
  for (size_t at = 0;; at += line) {
    const std::byte* from = map.base;
    for (int axis = 1; axis < map.rank; ++axis) {
      const int64_t i = int64_t{c[axis]} + index[axis];
      if (i < 0 || i >= map.extents[axis]) from = nullptr;
      if (from) from += static_cast<uint64_t>(i) * map.strides[axis - 1];
    }
    add_line(map, to + at, line, from, c[0], chunks);
    int axis = 1;
    while (axis < map.rank && ++index[axis] == map.box[axis]) index[axis++] = 0;
    if (axis == map.rank) return chunks;
  }
}

std::vector<Chunk> window_chunks(const Map& map, std::byte* to, const int* c, int offset_w,
                                 int offset_h, const void* pc) {
  std::vector<Chunk> chunks;
  const size_t line = map.channels * (map.tf32 ? 4u : 2u);
  const int64_t W = map.extents[1], H = map.extents[2], N = map.extents[3];
  int64_t w = c[1], h = c[2], n = c[3];
  const int64_t last_w = W - 1 + map.upper[0], last_h = H - 1 + map.upper[1];
  if (w < map.lower[0] || w > last_w || h < map.lower[1] || h > last_h) {
    report(Kind::bounds, pc, "a copy of windows begins outside the first and the last window");
  }
  for (int pixel = 0; pixel < map.pixels; ++pixel) {
    const int64_t column = w + offset_w, row = h + offset_h;
    const bool inside = column >= 0 && column < W && row >= 0 && row < H && n >= 0 && n < N;
    add_line(map, to + static_cast<size_t>(pixel) * line, line,
             inside ? map.base + static_cast<uint64_t>(column) * map.strides[0] +
                          static_cast<uint64_t>(row) * map.strides[1] +
                          static_cast<uint64_t>(n) * map.strides[2]
                    : nullptr,
             c[0], chunks);
    if ((w += map.steps[1]) <= last_w) continue;
    w = map.lower[0];
    if ((h += map.steps[2]) <= last_h) continue;
    h = map.lower[1];
    ++n;
  }
  return chunks;
}

}  // namespace

std::vector<Chunk> chunks_of(const Map& map, std::byte* to, const int* coordinates, int offset_w,
                             int offset_h, const void* pc) {
  return map.windows ? window_chunks(map, to, coordinates, offset_w, offset_h, pc)
                     : tiled_chunks(map, to, coordinates);
}

bool encode_tensor_map(void* to, bool tf32, const void* base, const std::vector<uint64_t>& extents,
                       const std::vector<uint64_t>& strides, const std::vector<uint32_t>& box,
                       const std::vector<int>& lower, const std::vector<int>& upper,
                       uint32_t channels, uint32_t pixels, const std::vector<uint32_t>& steps,
                       int swizzle) {
  const uint32_t size = tf32 ? 4 : 2;
  const auto within = [](const auto& values, auto low, auto high) {
    return std::all_of(values.begin(), values.end(),
                       [&](auto value) { return value >= low && value <= high; });
  };
  const bool windows = box.empty();
  const size_t rank = extents.size();
  const uint32_t line = (windows ? channels : box[0]) * size;
  if (rank > 5 || (windows && rank != 4) || reinterpret_cast<uintptr_t>(base) % 16 != 0 ||
      !within(extents, 1u, 1ull << 32) || !within(steps, 1u, 8u) || line % 16 != 0 ||
      (swizzle && line > 16u << swizzle)) {
    return false;
  }
  if (windows ? !within(lower, -128, 127) || !within(upper, -128, 127) || channels > 256 ||
                    pixels > 1024
              : !within(box, 1u, 256u)) {
    return false;
  }
  Map map{};
  map.base = static_cast<const std::byte*>(base);
  for (const uint64_t stride : strides) {
    if (stride % 16 != 0 || stride >= 1ull << 40) return false;
  }
  const auto put = [](const auto& values, auto& to) {
    for (size_t i = 0; i < std::min(values.size(), std::size(to)); ++i) {
      to[i] = static_cast<std::remove_reference_t<decltype(to[0])>>(values[i]);
    }
  };
  put(extents, map.extents);
  put(strides, map.strides);
  put(box, map.box);
  put(lower, map.lower);
  put(upper, map.upper);
  put(steps, map.steps);
  map.channels = static_cast<uint16_t>(channels);
  map.pixels = static_cast<uint16_t>(pixels);
  map.rank = static_cast<uint8_t>(rank);
  map.swizzle = static_cast<uint8_t>(swizzle);
  map.windows = windows;
  map.tf32 = tf32;
  std::memcpy(to, &map, sizeof(map));
  return true;
}

}  // namespace simt
