// Reading a file whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

namespace fettle {

/// The first `limit` bytes of a file, or all of them. Throws Error naming the file when it is
/// missing, a folder, or cannot be read.
std::vector<uint8_t> read_file(const std::string& path,
                               size_t limit = std::numeric_limits<size_t>::max());

/// The whole file in memory, read when it is looked at, for as long as the result lives; nullptr
/// for an empty one. Throws Error naming the file.
std::shared_ptr<const std::byte> map_file(const std::string& path, size_t& size);

}  // namespace fettle
