#include "io/checksum.h"

#include <array>
#include <bit>
#include <cstring>

namespace fettle {
namespace {

constexpr uint32_t polynomial = 0xEDB88320;  // of IEEE 802.3, the lowest bit first

// tables[k][b]: what byte b, with k zero bytes after it, does to the remainder (Kounavis, Berry: "A
// systematic approach to building high performance software-based CRC generators", 2005).
using Tables = std::array<std::array<uint32_t, 256>, 8>;

constexpr Tables make_tables() {
  Tables tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t rest = byte;
    for (int bit = 0; bit < 8; ++bit) rest = rest >> 1 ^ (rest & 1 ? polynomial : 0);
    tables[0][byte] = rest;
  }
  for (size_t k = 1; k < 8; ++k)
    for (size_t byte = 0; byte < 256; ++byte)
      tables[k][byte] = tables[k - 1][byte] >> 8 ^ tables[0][tables[k - 1][byte] & 255];
  return tables;
}

constexpr Tables tables = make_tables();

}  // namespace

uint32_t crc32(std::span<const uint8_t> bytes) {
  static_assert(std::endian::native == std::endian::little);
  uint32_t rest = ~0u;
  while (bytes.size() >= 8) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data(), 8);
    word ^= rest;
    rest = 0;
    for (size_t i = 0; i < 8; ++i) rest ^= tables[7 - i][word >> 8 * i & 255];
    bytes = bytes.subspan(8);
  }
  for (const uint8_t byte : bytes) rest = rest >> 8 ^ tables[0][(rest ^ byte) & 255];
  return ~rest;
}

}  // namespace fettle
