// A run folder: what `fettle train` leaves behind and the other commands read.
//
//   config.json        the model, its input, the classes, the seed and all options
//   model.safetensors  the weights
//   history.csv        one line an epoch
//   checkpoint/        the state to resume from, and the lock of io/run_lock.h
//
// and, of fettle evaluate and fettle report, the figures of those weights.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "engine/train/callbacks.h"

namespace fettle {

/// What a new run begins with.
constexpr double default_threshold = 0.5, default_temperature = 1;

/// What is needed to build a run's model and to feed it.
struct RunConfig {
  std::string model;  ///< a name of models/model.h
  /// What pictures are resized to; 0: they keep their size, and crops are trained on.
  int64_t height = 0, width = 0;
  int64_t channels = 0;
  int64_t crop_height = 0, crop_width = 0;  ///< of the crops in training; 0: whole pictures
  std::vector<std::string> class_names;     ///< or the labels, or the kinds of defects
  bool multi_label = false;              ///< of a classifier: each class is a yes or no of its own
  double threshold = default_threshold;  ///< probability from which a defect, or a label, is there
  /// How the threshold was chosen, "f1" or "recall=R"; "": it was not, or is of a time before this
  /// was kept.
  std::string threshold_goal = {};
  double temperature = default_temperature;  ///< of a classifier's logits, see calibration.h
  uint64_t seed = 0;
  std::map<std::string, std::string> options;  ///< the command line, by option name without --
  std::string data_checksum =
      {};                 ///< of the pictures and their labels; "": begun before it was kept
  std::string file = {};  ///< where it was read, for messages; not written
};

/// A text as a shell reads it back.
std::string quoted_for_shell(const std::string& text);

/// Where the parts of a run folder are.
class RunFolder {
 public:
  explicit RunFolder(std::string path) : path_(std::move(path)) {}

  const std::string& path() const { return path_; }
  std::string config() const { return path_ + "/config.json"; }
  std::string weights() const { return path_ + "/model.safetensors"; }
  std::string history() const { return path_ + "/history.csv"; }
  std::string checkpoint() const { return path_ + "/checkpoint/last.safetensors"; }
  std::string lock() const { return path_ + "/checkpoint/lock"; }

  /// What fettle evaluate and fettle report write: figures of the weights.
  std::vector<std::string> figures() const;

  /// What to type into a shell to go on with the run.
  std::string resume_command() const;

  /// Makes the folder and checkpoint/. Throws Error naming it when that is impossible.
  void create() const;

 private:
  std::string path_;
};

void write_config(const RunFolder& run, const RunConfig& config);

/// Throws Error naming the file when it is missing or not JSON, and the entry that is missing or
/// has a value that it cannot have.
RunConfig read_config(const RunFolder& run);

/// history.csv: the figures of each epoch by name, in the order of the first epoch's, after its
/// number from 1.
void write_history(const std::string& path, const std::vector<EpochLog>& epochs);

/// What write_history() wrote. Throws Error naming the file, and the line that is no epoch.
std::vector<EpochLog> read_history(const std::string& path);

/// What a model says of one picture.
struct Prediction {
  std::string path;
  std::string class_name;  ///< of the largest probability, or the labels, joined by ';'
  std::vector<float> probabilities;
};

/// predictions.csv: path, class (or what else `column` is called), and one probability a class,
/// under the classes' names.
void write_predictions(const std::string& path, const std::vector<std::string>& class_names,
                       const std::vector<Prediction>& predictions,
                       const std::string& column = "class");

}  // namespace fettle
