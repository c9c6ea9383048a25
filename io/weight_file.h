// Weights that this program or another library wrote, in fettle's layouts.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/tensor.h"

namespace fettle {

enum class WeightSource { fettle, pytorch, keras };

/// "fettle", "PyTorch" or "Keras".
const char* name_of(WeightSource source);

/// What is known of one tensor of such a file before it is read.
struct WeightEntry {
  /// Dotted, the last part being weight, bias, running_mean or running_var. For Keras: the layer's
  /// name and what that library's kernel, gamma, beta, moving_mean and moving_variance are here.
  std::string name;
  /// For Keras: the same with the layer's class and number among its class, "conv2d_1.weight".
  std::string numbered;
  std::vector<int64_t> shape;  ///< in fettle's layout
};

/// The layout of a file's tensors follows from who wrote it, and that from its content:
///   fettle   a safetensors file whose __metadata__ has "format": "fettle": KRSC, taken as it is
///   pytorch  any other safetensors file: kernels are KCRS and become KRSC
///   keras    an HDF5 file: kernels are RSCK and become KRSC, dense ones [C,units], [units,C]
/// Opening reads names and shapes only.
class WeightFile {
 public:
  virtual ~WeightFile() = default;
  const std::string& path() const { return path_; }
  WeightSource source() const { return source_; }
  const std::vector<WeightEntry>& entries() const { return entries_; }
  /// What fettle wrote beside the weights, for example "preprocess"; PyTorch's own.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  /// A copy of entries()[i], f32. Throws Error naming the tensor when it cannot be read or holds a
  /// number that is not finite.
  Tensor read(size_t i) const;

 protected:
  WeightFile(std::string path, WeightSource source) : path_(std::move(path)), source_(source) {}
  virtual Tensor read_unchecked(size_t i) const = 0;

  std::string path_;
  WeightSource source_;
  std::vector<WeightEntry> entries_;
  std::map<std::string, std::string> metadata_;
};

/// Opens a safetensors or HDF5 file; PyTorch's num_batches_tracked and the prefix "module." of
/// DataParallel are dropped. Throws Error naming the file when it is neither, or breaks a rule of
/// io/safetensors.h or io/hdf5_file.h; a pickle (.pth, .pt), which could run code, with the way to
/// convert it.
std::unique_ptr<WeightFile> open_weights(const std::string& path);

/// x with its axes in another order: axis i of the result is axis axes[i] of x.
Tensor permute(const Tensor& x, const std::vector<int>& axes);

}  // namespace fettle
