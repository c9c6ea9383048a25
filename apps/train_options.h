// What fettle train can be told.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <utility>
#include <vector>

#include "apps/data.h"
#include "apps/fine_tuning.h"
#include "apps/options.h"
#include "io/run_folder.h"

namespace fettle {

struct TrainOptions {
  std::string model, data, validation_data, validation_labels, out;
  FormatOptions format;
  TransferOptions transfer;
  ImageSize image_size, crop;
  int64_t channels = 0;  // 0: the model's own
  int64_t epochs = 16, batch_size = 32;
  double learning_rate = 0;  // 0: the optimizer's own
  std::string optimizer = "adam", schedule = "plateau", augment = "default";
  std::string loss = "default", class_weights = "none", monitor;
  double false_negative_weight = 0.7, false_positive_weight = 0.3, focal_exponent = 0.75;
  double focal_gamma = 2;
  double momentum = 0.9, weight_decay = 0.004, epsilon = 0;  // 0: the optimizer's own
  double validation_split = 0.2, label_smoothing = 0;
  double bn_momentum = 0;  // 0: the model's own
  std::string bn_statistics = "moving";
  bool bn_first = false;
  int64_t width = 0;  // 0: the model's own
  double dropout = 0;
  int64_t early_stopping = 5;
  uint64_t seed = 123;
  DeviceOptions compute;
  std::string conv_plans;
  bool cache = false, skip_broken = false, resume = false, cuda_graph = false;
  bool epochs_given = false;  // so that they count in a resumed run, too

  /// Calls f(name, value) for each option that a resumed run takes from its run folder.
  template <class F>
  void visit(const F& f) {
    f("data", data);
    f("validation-data", validation_data);
    f("validation-labels", validation_labels);
    format.visit(f);
    transfer.visit(f);
    f("epochs", epochs);
    f("batch-size", batch_size);
    f("learning-rate", learning_rate);
    f("optimizer", optimizer);
    f("momentum", momentum);
    f("weight-decay", weight_decay);
    f("epsilon", epsilon);
    f("schedule", schedule);
    f("early-stopping", early_stopping);
    f("monitor", monitor);
    f("augment", augment);
    f("loss", loss);
    f("false-negative-weight", false_negative_weight);
    f("false-positive-weight", false_positive_weight);
    f("focal-exponent", focal_exponent);
    f("focal-gamma", focal_gamma);
    f("class-weights", class_weights);
    f("label-smoothing", label_smoothing);
    f("validation-split", validation_split);
    f("bn-momentum", bn_momentum);
    f("bn-statistics", bn_statistics);
    f("bn-first", bn_first);
    f("width", width);
    f("dropout", dropout);
    f("cache", cache);
    f("skip-broken", skip_broken);
    f("precision", compute.precision);
  }
};

/// Adds every option to the command.
void add_train_options(CLI::App& command, TrainOptions& options);

/// Takes what the run folder fixed when it was begun; --epochs given anew may extend the run.
/// Throws Error when config.json holds something else.
void take_from_run(TrainOptions& options, const RunConfig& config);

/// The figure that says which epoch is the best: --monitor, or the loss.
std::string watched_figure(const TrainOptions& options, bool validates);

/// The options that the run was begun with, by name without --, their values as people write them.
std::vector<std::pair<std::string, std::string>> option_texts(const RunConfig& config);

/// The command that trains such a run again, into the folder `out`: with all that is not usual.
std::string train_command(const RunConfig& config, const std::string& out);

/// The configuration of a new run on such data.
RunConfig config_of(TrainOptions& options, const Data& data);

/// The training and, unless neither a split nor other data are asked for, the validation data.
/// Throws Error when they do not fit together.
std::pair<Data, Data> read_data(const TrainOptions& options, Task task);

}  // namespace fettle
