// A classifier with all that its run folder says about it.
#pragma once

#include <string>
#include <vector>

#include "apps/options.h"
#include "engine/train/fit.h"
#include "io/picture_source.h"
#include "io/run_folder.h"
#include "models/model.h"

namespace fettle {

/// A built model and what it was made for.
struct Classifier {
  RunConfig config;
  Sequential model;

  ModelFunction function() {
    return [this](const Tensor& x) { return model(x); };
  }
};

/// Makes the configuration's model with fresh weights from its seed.
Classifier make_classifier(const RunConfig& config);

/// Reads a run folder. Throws Error naming the file that is missing or does not fit.
Classifier load_classifier(const std::string& run);

/// The loss that goes with the model's output: binary cross-entropy for one logit, sparse
/// categorical cross-entropy for more. `class_weights` is empty or has a number a class.
LossFunction cross_entropy(const std::vector<float>& class_weights = {}, float label_smoothing = 0);

/// Pictures in the order given, for prediction.
PictureSourceOptions prediction_options(const RunConfig& config, const RunOptions& options);

/// Prints the figures as a table, and the confusion matrix.
void print_metrics(std::ostream& out, const Metrics& metrics,
                   const std::vector<std::string>& class_names);

}  // namespace fettle
