#include "apps/trained_model.h"

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <utility>

#include "apps/progress.h"
#include "engine/argument_error.h"
#include "engine/autograd.h"
#include "engine/inference/decision.h"
#include "engine/ops/arithmetic.h"
#include "engine/ops/losses.h"
#include "engine/train/device_batches.h"
#include "engine/train/label_metrics.h"
#include "io/safetensors.h"
#include "layers/initializers.h"

namespace fettle {
namespace {

/// The text of an option of the run, or nothing where it was not kept.
std::string option_of(const RunConfig& config, const std::string& name) {
  const auto found = config.options.find(name);
  return found == config.options.end() ? "" : found->second;
}

/// The number of an option that lies in [0, most], or nothing where it was not kept.
std::optional<double> number_of(const RunConfig& config, const std::string& name, double most) {
  const std::string text = option_of(config, name);
  if (text.empty()) return {};
  double number = 0;
  const bool is_number = CLI::detail::lexical_cast(text, number);
  require_argument(is_number && number >= 0 && number <= most, "--", name, " '", text,
                   "' is not a number from 0 to ", most);
  return number;
}

ModelOptions model_options(const RunConfig& config) {
  ModelOptions options{.classes = static_cast<int64_t>(config.class_names.size()),
                       .multi_label = config.multi_label};
  for (const auto& [name, text] : {std::pair{"augment", &options.augment},
                                   {"preprocess", &options.preprocess},
                                   {"head", &options.head}})
    if (!option_of(config, name).empty()) *text = option_of(config, name);
  if (const auto momentum = number_of(config, "bn-momentum", 1))
    options.bn_momentum = static_cast<float>(*momentum);
  const std::string statistics = option_of(config, "bn-statistics");
  require_argument(statistics.empty() || statistics == "moving" || statistics == "batch",
                   "--bn-statistics '", statistics, "' is neither moving nor batch");
  if (statistics == "batch") options.bn_statistics = BatchNormalization::Statistics::Batch;
  options.bn_first = number_of(config, "bn-first", 1).value_or(0) > 0;
  options.width = static_cast<int64_t>(number_of(config, "width", 1024).value_or(0));
  options.dropout = static_cast<float>(number_of(config, "dropout", 0.99).value_or(0));
  return options;
}

/// Throws ArgumentError when a built model cannot look at pictures of that size, for this reason.
[[noreturn]] void refuse_size(const RunConfig& config, int64_t height, int64_t width,
                              const std::string& reason) {
  const ModelEntry& entry = model_entry(config.model);
  const NothingDrawn shapes_alone;
  const auto fits = [&](int64_t least) {
    try {
      build(*entry.make(model_options(config)),
            {1, std::max(height, least), std::max(width, least), config.channels});
      return true;
    } catch (const Error&) {
      return false;
    }
  };
  const std::string head = option_of(config, "head");
  const std::string with =
      entry.preprocess.empty() || head.empty() || head == "default" ? "" : " with --head " + head;
  constexpr int64_t most = 1024;
  int64_t small = 0, large = 1;  // does not fit, fits
  while (large <= most && !fits(large)) small = std::exchange(large, 2 * large);
  if (large > most)
    throw ArgumentError(config.model, with, " cannot look at pictures of ", height, "x", width,
                        ": ", reason, "; choose another --image-size",
                        with.empty() ? "" : " or --head");
  while (large - small > 1) {
    const int64_t middle = (small + large) / 2;
    (fits(middle) ? large : small) = middle;
  }
  throw ArgumentError(config.model, with, " needs pictures of at least ", large, "x", large,
                      ", not ", height, "x", width, "; choose a larger ",
                      config.crop_height > 0 ? "--crop" : "--image-size");
}

/// make_model(), whose complaints are about options.
TrainedModel made_model(const RunConfig& config) {
  const ModelEntry& entry = model_entry(config.model);
  const bool any_size = config.height == 0 && config.width == 0 && config.crop_height > 0;
  require_argument(any_size || (config.height > 0 && config.width > 0 &&
                                config.height <= max_image_size && config.width <= max_image_size),
                   "pictures of ", config.height, "x", config.width, " are not between 1x1 and ",
                   max_image_size, "x", max_image_size);
  require_argument(config.channels == 1 || config.channels == 3,
                   "a picture has 1 or 3 channels, not ", config.channels);
  const bool classifies = entry.task == Task::classification;
  require(config.class_names.size() >= (classifies && !config.multi_label ? 2u : 1u),
          classifies ? "a classifier needs at least two classes, not "
                     : "a segmenter needs at least one kind of defect, not ",
          config.class_names.size());
  const int64_t height = config.crop_height > 0 ? config.crop_height : config.height;
  const int64_t width = config.crop_width > 0 ? config.crop_width : config.width;
  require_argument(height % entry.multiple == 0 && width % entry.multiple == 0, config.model,
                   " needs a height and a width that are multiples of ", entry.multiple, ", not ",
                   height, "x", width, "; choose another --image-size or --crop");
  TrainedModel model{config, entry.make(model_options(config))};
  try {
    build(*model.layer, {1, height, width, config.channels}, config.seed);
  } catch (const Error& error) {
    refuse_size(config, height, width, error.what());
  }
  return model;
}

}  // namespace

TrainedModel make_model(const RunConfig& config) {
  if (config.file.empty()) return made_model(config);
  try {
    return made_model(config);
  } catch (const ArgumentError& error) {
    throw Error("'", config.file, "': ", error.what());
  }
}

TrainedModel load_model(const RunOptions& o, Device device) {
  const RunFolder folder(o.run);
  RunConfig config = read_config(folder);
  if (!o.bn_statistics.empty()) config.options["bn-statistics"] = o.bn_statistics;
  require(
      std::filesystem::exists(folder.weights()), "the training of the run '", o.run,
      "' has not come to its end, so it has no weights yet; go on with: ", folder.resume_command());
  const NothingDrawn all_is_read;
  TrainedModel model = make_model(config);
  if (!o.bn_statistics.empty()) require_use("bn-statistics", model.entry());
  load_into(named_tensors(*model.layer), SafetensorsFile(folder.weights()));
  move_to(*model.layer, device);
  return model;
}

LayerSummary summary_of(const TrainedModel& model) {
  const RunConfig& config = model.config;
  const bool cropped = config.crop_height > 0;
  LayerSummary summary{.height = cropped ? config.crop_height : config.height,
                       .width = cropped ? config.crop_width : config.width,
                       .rows = {}};
  summary.rows = layer_table(*model.layer, {1, summary.height, summary.width, config.channels});
  for (const LayerRow& row : summary.rows) {
    summary.parameters += row.parameters;
    summary.non_trainable += row.non_trainable;
  }
  return summary;
}

void require_task(const TrainedModel& model, Task task) {
  require(model.entry().task == task, "the run's model ", model.config.model,
          task == Task::classification ? " draws masks; a classifier is needed here"
                                       : " classifies; one that draws masks is needed here");
}

void use_threshold(TrainedModel& model, double threshold) {
  const size_t classes = model.config.class_names.size();
  require_argument(
      model.entry().task == Task::segmentation || model.config.multi_label || classes == 2,
      "--threshold has no use for a run of ", classes,
      " classes, which answers the likeliest one; leave it out");
  model.config.threshold = threshold;
}

LossFunction cross_entropy(const std::vector<float>& class_weights, float label_smoothing,
                           float focal_gamma) {
  return [=](const Tensor& logits, const Tensor& labels) {
    return logits.shape()[-1] == 1 || labels.dtype() == DType::f32
               ? binary_cross_entropy(logits, labels, class_weights, label_smoothing, focal_gamma)
               : sparse_categorical_cross_entropy(logits, labels, class_weights, label_smoothing,
                                                  focal_gamma);
  };
}

PictureSourceOptions prediction_options(const RunConfig& config, const RunOptions& options) {
  return {.height = config.height,
          .width = config.width,
          .channels = config.channels,
          .batch_size = options.batch_size,
          .standardize = model_entry(config.model).standardize,
          .skip_broken = options.skip_broken};
}

Logits logits_of(TrainedModel& model, const std::vector<Example>& examples,
                 const RunOptions& options, Device device) {
  const NoGrad no_grad;
  require_task(model, Task::classification);
  PictureSource pictures(examples, prediction_options(model.config, options));
  DeviceBatches source(pictures, device);
  Progress progress;
  Logits all;
  std::vector<float> values;
  int64_t batches = 0, K = 0;
  source.start_epoch(0);
  while (const std::optional<Batch> batch = source.next()) {
    const auto divisor = static_cast<float>(model.config.temperature);
    const Tensor logits = rescale((*model.layer)(batch->x), 1 / divisor);
    K = logits.shape()[1];
    const std::vector<float> some = logits.to_vector();
    values.insert(values.end(), some.begin(), some.end());
    progress.count("Classifying", ++batches, source.batches());
  }
  progress.clear();
  const auto skipped = pictures.skipped();
  for (const auto& [path, reason] : skipped) std::cerr << "Left out: " << reason << "\n";
  for (const Example& example : examples)
    if (!skipped.contains(example.path)) all.paths.push_back(example.path);
  if (K > 0) all.values = Tensor::from({std::ssize(values) / K, K}, values);
  return all;
}

Probabilities classify(TrainedModel& model, const std::vector<Example>& examples,
                       const RunOptions& options, Device device) {
  const Logits all = logits_of(model, examples, options, device);
  if (!all.values.defined()) return {};
  return {all.paths, model.config.multi_label ? label_probabilities_of(all.values)
                                              : probabilities_of(all.values)};
}

size_t class_of(const RunConfig& config, const std::vector<float>& row) {
  return static_cast<size_t>(decide_class(row.data(), std::ssize(row), config.threshold));
}

std::vector<bool> answers(const RunConfig& config, const std::vector<float>& row) {
  std::vector<bool> holds(row.size());
  for (size_t k = 0; k < row.size(); ++k)
    holds[k] = config.multi_label && has_label(row[k], config.threshold);
  if (!config.multi_label) holds[class_of(config, row)] = true;
  return holds;
}

}  // namespace fettle
