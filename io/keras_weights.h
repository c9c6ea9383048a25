// Weights that Keras wrote: model.weights.h5, and the older .h5 and .hdf5 of whole models or
// weights.
#pragma once

#include "io/hdf5_file.h"
#include "io/weight_file.h"

namespace fettle {

/// Keras 3 (and 2.13 on) keeps layers/<class>[_n]/vars/<i>, nested models below; older files have
/// the attributes layer_names and weight_names (in chunks layer_names0, ... where they are long),
/// in the group model_weights if the file holds a whole model. What is not a kernel of one or two
/// axes or four, a bias or a batch-norm's, and integers (the states of random numbers) are left
/// out.
class KerasWeights : public WeightFile {
 public:
  /// Throws Error naming the file when it has neither form, or breaks a rule of io/hdf5_file.h.
  explicit KerasWeights(const std::string& path);

 private:
  void walk(const std::string& group, int depth);
  void add_layer(const std::string& group, const std::string& numbered);
  void read_old_form(const std::string& root);
  void add(const std::string& layer, const std::string& numbered, const std::string& part,
           const std::string& dataset);
  Tensor read_unchecked(size_t i) const override;

  Hdf5File file_;
  std::vector<std::string> datasets_;  // of entries_
};

}  // namespace fettle
