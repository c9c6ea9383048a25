#include "io/read_file.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "engine/error.h"

namespace fettle {

std::vector<uint8_t> read_file(const std::string& path, size_t limit) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  require(!error, "cannot read '", path, "': ", error.message());
  std::vector<uint8_t> bytes(static_cast<size_t>(std::min<uintmax_t>(size, limit)));
  std::ifstream in(path, std::ios::binary);
  in.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  require(in.good(), "cannot read '", path, "': check that you may read it");
  return bytes;
}

}  // namespace fettle
