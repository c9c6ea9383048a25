// What fettle evaluate measures of a classifier, of one that gives labels, and of a segmenter, and
// what fettle report shows of it.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>
#include <string>

#include "apps/data.h"
#include "apps/trained_model.h"
#include "engine/train/calibration.h"
#include "engine/train/classification_report.h"
#include "engine/train/curves.h"
#include "engine/train/threshold.h"

namespace fettle {

using Json = nlohmann::ordered_json;

struct EvaluateOptions : RunOptions {
  std::string data, choose;
  FormatOptions format;
  ImageSize tile;
  std::optional<double> threshold;  ///< else the run's
  bool calibrate = false;
};

/// The run folder, --data and how to read it, --tile, --threshold, and where to compute.
void add_measure_options(CLI::App& command, EvaluateOptions& options);

/// A run and the pictures that it is measured on.
struct Subject {
  Device device;
  TrainedModel model;
  std::string folder;  ///< of the pictures
  Data data;
};

/// Loads the run and reads the pictures of --data or else the run's own validation pictures. Throws
/// Error for options that do not go together, and where run and pictures do not fit.
Subject subject_of(const EvaluateOptions& options);

/// What a classifier says of a picture, and what is true.
struct JudgedPicture {
  std::string path;
  std::vector<float> probabilities;
  /// Which class, or which labels, the picture has, and which of them the run calls.
  std::vector<bool> truth, called;
};

/// Pixels of a true and of a found mask.
struct Overlap {
  int64_t truth = 0, found = 0, both = 0;

  /// 1 where both masks are empty.
  double dice() const;
};

/// How well the masks of a picture were found, one entry a kind.
struct SegmentedPicture {
  size_t index = 0;  ///< in Data::masks
  std::vector<Overlap> kinds;
};

/// Everything that was measured. What grows with the pictures are numbers, never pixels.
struct Evaluation {
  Json metrics;      ///< what metrics.json holds
  std::string text;  ///< the figures as tables, for a terminal
  // Of classifiers:
  std::vector<JudgedPicture> judged;
  std::vector<Curves> curves;  ///< one a class or label
  std::vector<CalibrationBin> calibration;
  // Of segmenters:
  std::vector<SegmentedPicture> segmented;
  std::vector<ThresholdChoice> thresholds;  ///< what others would be worth, the highest first
};

/// Measures the run. Chooses its threshold and temperature where the options ask for it, and keeps
/// them in the subject's configuration.
Evaluation evaluate(const EvaluateOptions& options, Subject& subject);

// What follows is shared by the three ways to evaluate.

Evaluation evaluate_labels(const EvaluateOptions& options, Subject& subject);
Evaluation evaluate_classifier(const EvaluateOptions& options, Subject& subject);
Evaluation evaluate_segmenter(const EvaluateOptions& options, Subject& subject);

/// "f1" or "recall=0.99". Throws Error for another text.
ThresholdGoal goal_of(const std::string& text);

/// Stores a threshold that was chosen by --choose-threshold, and by what.
void choose(RunConfig& config, const ThresholdChoice& choice, const std::string& goal);

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
/// no verdict changes. Prints what it did.
Json calibrate(TrainedModel& model, Judged& judged, std::ostream& out);

/// The curves of each class or label.
std::vector<Curves> curves_of(const std::vector<JudgedPicture>& pictures, size_t classes);

/// Precision, recall and F1 for metrics.json.
Json json_of(const ClassAverages& mean);

}  // namespace fettle
