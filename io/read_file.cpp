#include "io/read_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
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

std::shared_ptr<const std::byte> map_file(const std::string& path, size_t& size) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  require(file >= 0, "cannot read '", path, "': ", std::strerror(errno));
  struct stat status = {};
  void* memory = MAP_FAILED;
  if (fstat(file, &status) == 0 && S_ISREG(status.st_mode)) {
    size = static_cast<size_t>(status.st_size);
    memory = size == 0 ? nullptr : mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
  }
  close(file);
  require(memory != MAP_FAILED, "cannot read '", path, "': it is not a regular file");
  return {static_cast<const std::byte*>(memory), [size](const std::byte* p) {
            if (p) munmap(const_cast<std::byte*>(p), size);
          }};
}

}  // namespace fettle
