// The models of fettle by name. A model's output are logits: [N,1] (the logit of class 1) where
// its paper ends in one sigmoid, else [N,classes] for a softmax.
#pragma once

#include <string>
#include <vector>

#include "layers/sequential.h"

namespace fettle {

/// What a model is made for.
struct ModelOptions {
  int64_t classes = 2;
  std::string augment = "default";  ///< see augmentation() in models/augmentation.h
};

/// One of the models.
struct ModelEntry {
  std::string name;
  std::string description;
  int64_t height, width, channels;  ///< the input of its paper
  Sequential (*make)(const ModelOptions&);
};

const std::vector<ModelEntry>& model_entries();

/// The entry of that name. Throws Error listing the names when there is none.
const ModelEntry& model_entry(const std::string& name);

}  // namespace fettle
