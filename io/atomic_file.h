// Files that are there whole or not at all.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace fettle {

/// Writes to a hidden temporary name in the same folder and, in commit(), flushes it to the disk
/// and renames it over `path`: whoever reads `path` sees the file before or the file after, even
/// if the program dies in between. Without commit() the temporary is removed. Every member throws
/// Error naming the file when the system refuses, for example because the disk is full.
class AtomicFile {
 public:
  explicit AtomicFile(const std::string& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* bytes, size_t count);
  void write(std::string_view text) { write(text.data(), text.size()); }
  void commit();

 private:
  void check(bool done, const char* what) const;

  std::string path_, temporary_;
  int file_ = -1;
};

/// Makes a folder and those above it, where they are missing. Throws Error naming it when that is
/// impossible.
void make_folder(const std::string& path);

/// Writes a whole file through AtomicFile.
void write_file(const std::string& path, std::string_view bytes);

}  // namespace fettle
