// Reading of HDF5 files that someone else made, through the HDF5 C library where the build has it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace fettle {

/// An HDF5 file opened for reading. Paths are those of HDF5: "layers/conv2d/vars/0".
///
/// A file may not make the program look elsewhere or ask for what it does not hold, so every member
/// throws Error, naming the file and the object, at links that are not hard (soft, external,
/// user-defined), data that lie in other files (external storage, virtual datasets), datasets whose
/// shape says more than is stored, and whatever the library cannot read. Compressed data count as
/// too little. No plug-in is loaded.
class Hdf5File {
 public:
  /// Throws Error also where the build has no HDF5 library.
  explicit Hdf5File(const std::string& path);
  static bool available();  ///< whether the build has the library

  const std::string& path() const { return path_; }
  /// Names of a group's members, in alphabetical order; "/" is the root.
  std::vector<std::string> members(const std::string& group) const;
  bool exists(const std::string& object) const;
  bool is_group(const std::string& object) const;
  /// Whether its elements are floating-point numbers.
  bool is_float(const std::string& dataset) const;
  std::vector<int64_t> shape(const std::string& dataset) const;
  /// All elements, the last axis fastest.
  std::vector<float> read(const std::string& dataset) const;
  /// An attribute that is a text or a list of texts; nothing where the object has none of the name.
  std::optional<std::vector<std::string>> texts(const std::string& object,
                                                const std::string& attribute) const;

 private:
  class Library;
  std::string path_;
  std::shared_ptr<Library> library_;
};

}  // namespace fettle
