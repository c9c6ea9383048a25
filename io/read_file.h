// Reading a file whole.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace fettle {

/// The first `limit` bytes of a file, or all of them. Throws Error naming the file when it is
/// missing, a folder, or cannot be read.
std::vector<uint8_t> read_file(const std::string& path,
                               size_t limit = std::numeric_limits<size_t>::max());

}  // namespace fettle
