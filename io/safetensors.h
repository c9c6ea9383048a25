// Tensors in a file, in the safetensors format: 8 bytes with the length of the header, a JSON
// header, the elements. Nothing in such a file runs.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/named_tensor.h"

namespace fettle {

/// A safetensors file, mapped into memory: opening reads the header only.
class SafetensorsFile {
 public:
  struct Entry {
    std::string dtype;  ///< as in the header, for example "BF16"
    std::vector<int64_t> shape;
    std::span<const std::byte> bytes;
  };

  /// Checks the whole header. Throws Error naming the file when it is missing, cut off, or breaks
  /// a rule of the format: a header of at most 100,000,000 bytes that begins with {, no name twice,
  /// known types, offsets that cover the data from 0 to the end without holes, sizes that fit
  /// shape and type, texts only in __metadata__.
  explicit SafetensorsFile(const std::string& path);

  const std::string& path() const { return path_; }
  /// Ordered by name.
  const std::map<std::string, Entry>& entries() const { return entries_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

  /// A copy of one tensor: F32, F16, BF16 and F64 (rounded) as f32; U8 as u8; I32, I8, I16, U16,
  /// BOOL and, where every value fits, I64, U32 and U64 as i32. Throws Error naming the tensor when
  /// it is missing, of another type, or has more than Shape::max_rank axes.
  Tensor read(const std::string& name) const;

 private:
  void parse(std::span<const std::byte> file);
  [[noreturn]] void refuse(const std::string& why) const;

  std::string path_;
  std::shared_ptr<const std::byte> mapping_;
  std::map<std::string, Entry> entries_;
  std::map<std::string, std::string> metadata_;
};

/// Writes the tensors in the given order, whole or not at all (io/atomic_file.h); the same tensors
/// give the same bytes. Throws Error when two have one name or one has no elements to write (meta).
void write_safetensors(const std::string& path, const NamedTensors& tensors,
                       const std::map<std::string, std::string>& metadata = {});

/// Whether there is such a file, whole, with just these tensors, bit by bit.
bool holds(const std::string& path, const NamedTensors& tensors);

/// Throws Error naming the file and the tensor when an f32 of it is infinite or no number.
void require_finite(const Tensor& tensor, const std::string& name, const std::string& path);

/// Copies the file's tensors into those of the same names. Throws Error listing every tensor that
/// is missing, unknown, or of another shape or type, or naming one that holds a number that is not
/// finite, and then changes nothing; PyTorch's `num_batches_tracked` may be there.
void load_into(const NamedTensors& tensors, const SafetensorsFile& file);

}  // namespace fettle
