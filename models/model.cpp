#include "models/model.h"

#include <algorithm>

#include "engine/argument_error.h"
#include "layers/elementwise.h"
#include "models/defect_cnn.h"
#include "models/res_unet.h"
#include "models/resnet.h"
#include "models/tyre_cnn.h"
#include "models/unet_xception.h"
#include "models/wreck_cnn.h"

namespace fettle {
namespace {

template <Sequential (*make)(const ModelOptions&)>
std::unique_ptr<Layer> made(const ModelOptions& options) {
  return std::make_unique<Sequential>(make(options));
}

std::unique_ptr<Layer> make_res_unet(const ModelOptions& options) {
  ResUnetOptions unet = {.classes = options.classes,
                         .relu_before_norm = !options.bn_first,
                         .dropout = options.dropout,
                         .batch_norm = options.batch_norm()};
  if (options.width > 0) unet.width = options.width;
  return std::make_unique<ResUnet>(unet);
}

template <int depth, ResNetDialect dialect>
std::unique_ptr<Layer> make_resnet(const ModelOptions& options) {
  return resnet(depth, dialect, options);
}

template <int depth, ResNetDialect dialect = ResNetDialect::torchvision>
ModelEntry resnet_entry() {
  const bool keras = dialect == ResNetDialect::keras;
  return {.name = cat("resnet", depth, keras ? "_keras" : ""),
          .description =
              cat("ResNet of ", depth,
                  keras ? " layers, v1, as Keras has it" : " layers, v1.5, as torchvision has it"),
          .task = Task::classification,
          .height = 224,
          .width = 224,
          .channels = 3,
          .make = make_resnet<depth, dialect>,
          .preprocess = keras ? "caffe" : "imagenet",
          .options = {"bn-momentum", "bn-statistics", "width"}};
}

std::unique_ptr<Layer> make_unet_xception(const ModelOptions& options) {
  return std::make_unique<Sequential>(
      Rescaling(1.0f / 255),
      UnetXception({.classes = options.classes, .batch_norm = options.batch_norm()}));
}

}  // namespace

BatchNormalization::Options ModelOptions::batch_norm(BatchNormalization::Options own) const {
  if (bn_momentum) own.momentum = *bn_momentum;
  own.statistics = bn_statistics;
  return own;
}

bool ModelEntry::takes(const std::string& option) const {
  return std::find(options.begin(), options.end(), option) != options.end();
}

const std::vector<ModelEntry>& model_entries() {
  static const std::vector<ModelEntry> entries = {
      {.name = "defect_cnn",
       .description = "small Sequential CNN with batch normalisation: is a defect anywhere?",
       .task = Task::classification,
       .height = 160,
       .width = 160,
       .channels = 3,
       .make = made<defect_cnn>,
       .options = {"bn-momentum", "bn-statistics"}},
      {.name = "tyre_cnn",
       .description = "Sequential CNN of the tyre project: 3 convolutions, 2 dense layers",
       .task = Task::classification,
       .height = 512,
       .width = 512,
       .channels = 3,
       .make = made<tyre_cnn>},
      {.name = "wreck_cnn",
       .description = "Sequential CNN of the wrecked-car project: 3 convolutions, 4 dense layers",
       .task = Task::classification,
       .height = 224,
       .width = 224,
       .channels = 3,
       .make = made<wreck_cnn>},
      resnet_entry<18>(),
      resnet_entry<34>(),
      resnet_entry<50>(),
      resnet_entry<101>(),
      resnet_entry<152>(),
      resnet_entry<50, ResNetDialect::keras>(),
      resnet_entry<101, ResNetDialect::keras>(),
      resnet_entry<152, ResNetDialect::keras>(),
      {.name = "res_unet",
       .description = "Res-UNet of the steel-sheet project: draws a mask for each kind of defect",
       .task = Task::segmentation,
       .height = 256,
       .width = 256,
       .channels = 1,
       .make = make_res_unet,
       .augment = "flip=both",
       .loss = "focal-tversky",
       .standardize = true,
       .multiple = 16,
       .reach = 64,
       .options = {"bn-momentum", "bn-statistics", "bn-first", "width", "dropout"}},
      {.name = "unet_xception",
       .description = "U-Net Xception of the car-damage project: separable convolutions",
       .task = Task::segmentation,
       .height = 128,
       .width = 128,
       .channels = 3,
       .make = make_unet_xception,
       .augment = "flip=horizontal",
       .loss = "dice",
       .multiple = 16,
       .reach = 128,
       .options = {"bn-momentum", "bn-statistics"}},
  };
  return entries;
}

std::string model_names(const std::string& option) {
  std::string names;
  for (const ModelEntry& entry : model_entries())
    if (option.empty() || entry.takes(option)) names += (names.empty() ? "" : ", ") + entry.name;
  return names;
}

const ModelEntry& model_entry(const std::string& name) {
  for (const ModelEntry& entry : model_entries())
    if (entry.name == name) return entry;
  throw ArgumentError("there is no model called '", name, "'; choose one of ", model_names());
}

void require_use(const std::string& option, const ModelEntry& entry) {
  require_argument(entry.takes(option), "--", option, " is for ", model_names(option), "; ",
                   entry.name, " has no use for it");
}

}  // namespace fettle
