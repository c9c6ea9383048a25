// A remainder of polynomials over two elements. Four blocks of 16 bytes are multiplied at a time,
// without carries, by the power of x that brings them 64 bytes further, where they are added to
// what stands there: the remainder stays the same, and in the end there are but few bytes to
// divide. Gopal et al.: "Fast CRC computation for generic polynomials using PCLMULQDQ instruction",
// 2009.
#include "io/checksum.h"

#include <array>
#include <bit>
#include <cstring>

#ifndef FETTLE_CHECKSUM_ONCE
#define FETTLE_CHECKSUM_ONCE
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

/// The remainder after more bytes, by tables.
inline uint32_t after(uint32_t rest, std::span<const uint8_t> bytes) {
  static_assert(std::endian::native == std::endian::little);
  for (; bytes.size() >= 8; bytes = bytes.subspan(8)) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data(), 8);
    word ^= rest;
    rest = 0;
    for (size_t i = 0; i < 8; ++i) rest ^= tables[7 - i][word >> 8 * i & 255];
  }
  for (const uint8_t byte : bytes) rest = rest >> 8 ^ tables[0][(rest ^ byte) & 255];
  return rest;
}

}  // namespace
}  // namespace fettle
#endif  // FETTLE_CHECKSUM_ONCE

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "io/checksum.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace fettle {
namespace HWY_NAMESPACE {
namespace {

uint32_t remainder_of(std::span<const uint8_t> bytes) {
  uint32_t rest = ~0u;
#if HWY_TARGET <= HWY_AVX2 || HWY_TARGET == HWY_NEON  // with the instruction for the product
  namespace hn = hwy::HWY_NAMESPACE;
  constexpr size_t blocks = 4, block = 16, step = blocks * block;
  if (bytes.size() >= 2 * step) {
    const hn::FixedTag<uint8_t, block> as_bytes;
    const hn::FixedTag<uint64_t, 2> halves;
    const auto block_at = [&](size_t i) {
      return hn::BitCast(halves, hn::LoadU(as_bytes, bytes.data() + i * block));
    };
    // The first half of a block lies 64 powers higher; a product has one power less than its place
    // says.
    constexpr int further = 8 * step;
    // x^n modulo the polynomial; x^0 is the highest bit.
    constexpr auto power_of_x = [](int n) {
      uint32_t power = 1u << 31;
      for (int i = 0; i < n; ++i) power = power >> 1 ^ (power & 1 ? polynomial : 0);
      return uint64_t{power};
    };
    constexpr uint64_t powers[2] = {power_of_x(further + 63) << 32, power_of_x(further - 1) << 32};
    const uint64_t begin[2] = {rest, 0};
    const auto factors = hn::LoadU(halves, powers);
    decltype(block_at(0)) sums[blocks];
    for (size_t i = 0; i < blocks; ++i) sums[i] = block_at(i);
    sums[0] = hn::Xor(sums[0], hn::LoadU(halves, begin));
    for (bytes = bytes.subspan(step); bytes.size() >= step; bytes = bytes.subspan(step)) {
      for (size_t i = 0; i < blocks; ++i)
        sums[i] = hn::Xor3(hn::CLMulLower(sums[i], factors), hn::CLMulUpper(sums[i], factors),
                           block_at(i));
    }
    uint8_t folded[step];
    for (size_t i = 0; i < blocks; ++i)
      hn::StoreU(hn::BitCast(as_bytes, sums[i]), as_bytes, folded + i * block);
    rest = after(0, folded);
  }
#endif
  return after(rest, bytes);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace fettle
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fettle {

HWY_EXPORT(remainder_of);

uint32_t crc32(std::span<const uint8_t> bytes) {
  return ~HWY_DYNAMIC_DISPATCH(remainder_of)(bytes);
}

}  // namespace fettle
#endif  // HWY_ONCE
