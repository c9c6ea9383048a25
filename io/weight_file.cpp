#include "io/weight_file.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <string_view>

#include "io/keras_weights.h"
#include "io/safetensors.h"

namespace fettle {
namespace {

constexpr std::string_view hdf5_signature = "\x89HDF\r\n\x1a\n";
constexpr std::string_view zip_signature = "PK\x03\x04";

/// The first bytes of a file, enough to tell its kind.
std::string beginning(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::array<char, 4096> bytes{};
  in.read(bytes.data(), bytes.size());
  return {bytes.data(), static_cast<size_t>(in.gcount())};
}

/// Throws Error when the file is one that must be converted first.
void refuse_other_kinds(const std::string& path, const std::string& begin) {
  const bool zip = begin.starts_with(zip_signature);
  require(!zip || begin.find(".pkl") != std::string::npos, "'", path,
          "' is an archive; of a Keras model (.keras), unpack it and give its model.weights.h5");
  const bool pickle =
      zip || (begin.size() > 1 && begin[0] == '\x80' && begin[1] >= 2 && begin[1] <= 5);
  require(
      !pickle, "'", path,
      "' is a Python pickle, as PyTorch's .pth and .pt are, which can run code and is not read; "
      "convert it in Python: from safetensors.torch import save_file; "
      "save_file(torch.load('FILE.pth', weights_only=True), 'FILE.safetensors')");
}

class SafetensorsWeights : public WeightFile {
 public:
  explicit SafetensorsWeights(const std::string& path)
      : WeightFile(path, WeightSource::pytorch), file_(path) {
    metadata_ = file_.metadata();
    const auto format = metadata_.find("format");
    if (format != metadata_.end() && format->second == "fettle") source_ = WeightSource::fettle;
    for (const auto& [name, entry] : file_.entries()) {
      if (name.ends_with("num_batches_tracked")) continue;
      stored_.push_back(name);
      std::vector<int64_t> shape = entry.shape;
      if (transposed(shape.size())) std::rotate(shape.begin() + 1, shape.begin() + 2, shape.end());
      constexpr std::string_view data_parallel = "module.";
      const size_t prefix = name.starts_with(data_parallel) ? data_parallel.size() : 0;
      entries_.push_back({name.substr(prefix), "", shape});
    }
  }

 private:
  bool transposed(size_t axes) const { return source_ == WeightSource::pytorch && axes == 4; }

  Tensor read_unchecked(size_t i) const override {
    const Tensor tensor = file_.read(stored_[i]);
    return transposed(entries_[i].shape.size()) ? permute(tensor, {0, 2, 3, 1}) : tensor;
  }

  SafetensorsFile file_;
  std::vector<std::string> stored_;  // the names of entries_ in the file
};

}  // namespace

const char* name_of(WeightSource source) {
  return source == WeightSource::fettle    ? "fettle"
         : source == WeightSource::pytorch ? "PyTorch"
                                           : "Keras";
}

Tensor WeightFile::read(size_t i) const {
  const Tensor tensor = read_unchecked(i);
  const std::string& name = entries_[i].name;
  require(tensor.dtype() == DType::f32, "the tensor '", name, "' of '", path_,
          "' holds integers, not weights");
  require_finite(tensor, name, path_);
  return tensor;
}

std::unique_ptr<WeightFile> open_weights(const std::string& path) {
  const std::string begin = beginning(path);
  refuse_other_kinds(path, begin);
  if (begin.starts_with(hdf5_signature)) return std::make_unique<KerasWeights>(path);
  return std::make_unique<SafetensorsWeights>(path);
}

Tensor permute(const Tensor& x, const std::vector<int>& axes) {
  const int rank = x.shape().rank();
  std::vector<int64_t> step(static_cast<size_t>(rank), 1);  // of each axis of x
  for (int i = rank - 2; i >= 0; --i) step[i] = step[i + 1] * x.shape()[i + 1];
  Shape shape;
  for (const int axis : axes) shape.push_back(x.shape()[axis]);
  Tensor y = Tensor::empty(shape, x.dtype());
  const float* from = x.data();
  float* to = y.data();
  std::vector<int64_t> at(static_cast<size_t>(rank));  // the place in y
  for (int64_t i = 0; i < y.size(); ++i) {
    int64_t offset = 0;
    for (int k = 0; k < rank; ++k) offset += at[k] * step[axes[k]];
    to[i] = from[offset];
    for (int k = rank - 1; k >= 0 && ++at[k] == shape[k]; --k) at[k] = 0;
  }
  return y;
}

}  // namespace fettle
