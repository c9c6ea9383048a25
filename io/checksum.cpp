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

/// The remainder after 8 more bytes.
uint32_t after_word(uint32_t rest, const uint8_t* bytes) {
  static_assert(std::endian::native == std::endian::little);
  uint64_t word = 0;
  std::memcpy(&word, bytes, 8);
  word ^= rest;
  rest = 0;
  for (size_t i = 0; i < 8; ++i) rest ^= tables[7 - i][word >> 8 * i & 255];
  return rest;
}

/// The product of two polynomials modulo the checksum's; x^0 is the highest bit.
uint32_t product(uint32_t a, uint32_t b) {
  uint32_t sum = 0;
  for (uint32_t bit = 1u << 31; bit; bit >>= 1) {
    if (a & bit) sum ^= b;
    b = b >> 1 ^ (b & 1 ? polynomial : 0);
  }
  return sum;
}

/// What `count` bytes of zero make of a remainder: its product with x^(8*count).
uint32_t after_zeros(uint32_t rest, uint64_t count) {
  uint32_t power = 1u << 23;  // x^8
  for (; count; count >>= 1, power = product(power, power))
    if (count & 1) rest = product(rest, power);
  return rest;
}

}  // namespace

uint32_t crc32(std::span<const uint8_t> bytes) {
  // One stream waits for its own tables; four at a time, of a quarter each, keep the loads busy.
  constexpr size_t streams = 4;
  std::array<uint32_t, streams> rests = {~0u};
  const size_t words = bytes.size() / 8 / streams, quarter = words * 8;
  for (size_t i = 0; i < words; ++i)
    for (size_t s = 0; s < streams; ++s)
      rests[s] = after_word(rests[s], bytes.data() + s * quarter + i * 8);
  uint32_t rest = rests[0];
  for (size_t s = 1; s < streams; ++s) rest = after_zeros(rest, quarter) ^ rests[s];
  for (const uint8_t byte : bytes.subspan(streams * quarter))
    rest = rest >> 8 ^ tables[0][(rest ^ byte) & 255];
  return ~rest;
}

}  // namespace fettle
