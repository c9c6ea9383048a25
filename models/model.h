// The models of fettle by name.
//
// A classifier's output are logits: [N,1] (the logit of class 1) where its paper ends in one
// sigmoid, else [N,classes] for a softmax; a multi-label one's [N,classes], each a sigmoid of its
// own. A segmenter's are logits [N,H,W,kinds], each a sigmoid, too.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "layers/batch_normalization.h"

namespace fettle {

enum class Task { classification, segmentation };

/// What a model is made for.
struct ModelOptions {
  int64_t classes = 2;                    ///< or kinds of defects
  bool multi_label = false;               ///< of a classifier: each class is a yes or no of its own
  std::string augment = "default";        ///< see augmentation() in models/augmentation.h
  std::optional<float> bn_momentum = {};  ///< of every batch-norm, instead of the model's own
  BatchNormalization::Statistics bn_statistics = BatchNormalization::Statistics::Moving;
  bool bn_first = false;  ///< res_unet: batch-norm before ReLU in the first stage, too
  int64_t width = 0;      ///< channels of the first stage of res_unet or a ResNet; 0: its own
  float dropout = 0;      ///< after each block of res_unet
  std::string preprocess = "default";  ///< of a ResNet; see models/preprocessing.h
  std::string head = "default";        ///< of a ResNet; see models/head.h

  /// A model's own batch-norm with these options.
  BatchNormalization::Options batch_norm(BatchNormalization::Options own = {}) const;
};

/// One of the models.
struct ModelEntry {
  std::string name;
  std::string description;
  Task task;
  int64_t height, width, channels;  ///< the input of its paper
  std::unique_ptr<Layer> (*make)(const ModelOptions&);
  /// A classifier has its augmentation inside; a segmenter's moves the masks, too, and so stands
  /// before it: what --augment default means there.
  std::string augment = {};
  std::string loss = {};     ///< of its paper, see models/mask_loss.h
  bool standardize = false;  ///< pictures are fed with mean 0 and deviation 1, else from 0 to 255
  int64_t multiple = 1;      ///< height and width must be multiples of it
  /// How far, in pixels, an output may depend on the input around it.
  int64_t reach = 0;
  /// What `preprocess` means by "default"; empty for a model that has its own and takes
  /// no `head`. The others are Classifiers (models/classifier.h), whose backbones can be frozen.
  std::string preprocess = {};
  /// The options of the command line that the model has a use for and not every other one has.
  std::vector<std::string> options = {};

  bool takes(const std::string& option) const;
};

const std::vector<ModelEntry>& model_entries();

/// The entry of that name. Throws ArgumentError listing the names when there is none.
const ModelEntry& model_entry(const std::string& name);

/// The names of all models, or of those that have a use for an option, with commas between.
std::string model_names(const std::string& option = {});

/// Throws ArgumentError naming the models that have a use for the option unless `entry` is one.
void require_use(const std::string& option, const ModelEntry& entry);

}  // namespace fettle
