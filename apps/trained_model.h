// A model with all that its run folder says about it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "apps/options.h"
#include "engine/train/fit.h"
#include "io/picture_source.h"
#include "io/run_folder.h"
#include "models/model.h"

namespace fettle {

/// A built model and what it was made for.
struct TrainedModel {
  RunConfig config;
  std::unique_ptr<Layer> layer;

  const ModelEntry& entry() const { return model_entry(config.model); }
  ModelFunction function() {
    return [this](const Tensor& x) { return (*layer)(x); };
  }
};

/// Makes the configuration's model with fresh weights from its seed. Throws ArgumentError naming
/// the option that does not fit it, or Error naming the file where the configuration was read.
TrainedModel make_model(const RunConfig& config);

/// Reads the run folder that `options` names into the memory of a device. Throws Error naming the
/// file that is missing or does not fit, and ArgumentError for a --bn-statistics of no use.
TrainedModel load_model(const RunOptions& options, Device device);

/// The layers of the model on a picture of the size it was trained with.
struct LayerSummary {
  int64_t height = 0, width = 0;
  std::vector<LayerRow> rows;
  int64_t parameters = 0, non_trainable = 0;
};
LayerSummary summary_of(const TrainedModel& model);

/// Throws Error when the model is made for the other task.
void require_task(const TrainedModel& model, Task task);

/// Decides by that threshold instead of the run's. Throws ArgumentError for a classifier that goes
/// by the largest of several probabilities.
void use_threshold(TrainedModel& model, double threshold);

/// The loss that goes with a classifier's output: binary cross-entropy for one logit and for labels
/// f32 [N,K], sparse categorical cross-entropy for more classes. `class_weights` is empty or has a
/// number a class, or two a label; a `focal_gamma` above 0 makes it the focal loss.
LossFunction cross_entropy(const std::vector<float>& class_weights = {}, float label_smoothing = 0,
                           float focal_gamma = 0);

/// Pictures in the order given, for prediction.
PictureSourceOptions prediction_options(const RunConfig& config, const RunOptions& options);

/// What a classifier says of the pictures that could be read, in order; those left out because of
/// --skip-broken are named on stderr.
struct Logits {
  std::vector<std::string> paths;
  Tensor
      values;  ///< [N,K] on the host, divided by the run's temperature; undefined without pictures
};
Logits logits_of(TrainedModel& model, const std::vector<Example>& examples,
                 const RunOptions& options, Device device);

/// The same as probabilities.
struct Probabilities {
  std::vector<std::string> paths;
  std::vector<std::vector<float>> rows;  ///< one probability a class or label
};
Probabilities classify(TrainedModel& model, const std::vector<Example>& examples,
                       const RunOptions& options, Device device);

/// The class of a row: with two classes the second one from the run's threshold on, else the
/// largest probability.
size_t class_of(const RunConfig& config, const std::vector<float>& row);

/// Which class, or which labels, a row of probabilities predicts.
std::vector<bool> answers(const RunConfig& config, const std::vector<float>& row);

}  // namespace fettle
