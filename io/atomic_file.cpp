#include "io/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "engine/error.h"

namespace fettle {
namespace {

// Unlike any other writer's name; the leading dot hides it from data-set readers.
std::string temporary_name(const std::filesystem::path& path) {
  static std::atomic<int> count{0};
  const std::string name = cat('.', path.filename().string(), '.', getpid(), '-', count++);
  return (path.parent_path() / (name + ".partial")).string();
}

}  // namespace

AtomicFile::AtomicFile(const std::string& path) : path_(path), temporary_(temporary_name(path)) {
  // Renaming over a device or a folder would destroy it.
  const auto status = std::filesystem::status(path);
  require(!std::filesystem::exists(status) || std::filesystem::is_regular_file(status),
          "cannot write '", path, "': something other than a regular file has this name");
  file_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  check(file_ >= 0, "cannot be created");
}

AtomicFile::~AtomicFile() {
  if (file_ >= 0) close(file_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

void AtomicFile::write(const void* bytes, size_t count) {
  const char* next = static_cast<const char*>(bytes);
  while (count > 0) {
    const ssize_t written = ::write(file_, next, count);
    if (written < 0 && errno == EINTR) continue;
    check(written > 0, "cannot be written");
    next += written;
    count -= static_cast<size_t>(written);
  }
}

void AtomicFile::commit() {
  check(fsync(file_) == 0, "cannot be written");
  const int file = std::exchange(file_, -1);
  check(close(file) == 0, "cannot be written");
  check(std::rename(temporary_.c_str(), path_.c_str()) == 0, "cannot be renamed to its name");
  temporary_.clear();
}

void AtomicFile::check(bool done, const char* what) const {
  require(done, "'", path_, "' ", what, ": ", std::strerror(errno));
}

void make_folder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  require(!error && std::filesystem::is_directory(path), "cannot make the folder '", path,
          "': ", error ? error.message() : "a file of that name is there");
}

void write_file(const std::string& path, std::string_view bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

}  // namespace fettle
