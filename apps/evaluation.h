// What fettle evaluate measures of a classifier, of one that gives labels, and of a segmenter.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>
#include <string>

#include "apps/data.h"
#include "apps/trained_model.h"
#include "engine/train/calibration.h"
#include "engine/train/classification_report.h"
#include "engine/train/threshold.h"

namespace fettle {

using Json = nlohmann::ordered_json;

struct EvaluateOptions : RunOptions {
  std::string data, choose;
  FormatOptions format;
  ImageSize tile;
  std::optional<double> threshold;  // none: the run's
  bool calibrate = false;

  /// Where the results are written.
  std::string folder() const { return out.empty() ? run : out; }
};

/// "f1" or "recall=0.99". Throws ArgumentError for another text.
ThresholdGoal goal_of(const std::string& text);

/// Right and wrong calls of "defective" at a threshold.
struct Calls {
  int64_t found = 0, missed = 0, false_alarms = 0, quiet = 0;

  void add(bool defective, bool called);
  Json json() const;
  void print(std::ostream& out, const std::string& what, double threshold) const;
};

/// What a classifier says, and what is true.
struct Judged {
  Tensor logits;                ///< [N,K]; K = 1 is a yes or no
  std::vector<int32_t> labels;  ///< N
  ScoreRows probabilities() const { return probabilities_of(logits); }
};

/// Fits the model's temperature, divides the logits by it, and moves the threshold with it so that
/// no verdict changes.
Json calibrate(TrainedModel& model, Judged& judged);

/// Precision, recall and F1 for metrics.json.
Json json_of(const ClassAverages& mean);

/// Prints the figures, writes the curves, and returns what metrics.json is to hold. Chooses the
/// model's threshold and temperature where the options ask for it.
Json evaluate_labels(const EvaluateOptions& options, TrainedModel& model, const Data& data,
                     Device device);
Json evaluate_classifier(const EvaluateOptions& options, TrainedModel& model, const Data& data,
                         Device device);
Json evaluate_segmenter(const EvaluateOptions& options, TrainedModel& model, const Data& data,
                        Device device);

}  // namespace fettle
