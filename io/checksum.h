// CRC-32 as zlib, PNG and Ethernet compute it.
#pragma once

#include <cstdint>
#include <span>

namespace fettle {

/// The checksum of the bytes.
uint32_t crc32(std::span<const uint8_t> bytes);

}  // namespace fettle
