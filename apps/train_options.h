// What fettle train can be told.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "apps/data.h"
#include "apps/fine_tuning.h"
#include "apps/options.h"

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
  std::optional<double> bn_momentum;  // none: the model's own
  std::string bn_statistics = "moving";
  bool bn_first = false;
  int64_t width = 0;  // 0: the model's own
  double dropout = 0;
  int64_t early_stopping = 5;
  uint64_t seed = 123;
  DeviceOptions compute;
  std::string conv_plans;
  bool cache = false, skip_broken = false, resume = false, cuda_graph = false;
  std::set<std::string> given;  ///< the options of the command line, without --
  std::string data_checksum;    ///< of the pictures of the run that goes on; "": not known
  bool of_run = false;          ///< they were read from a run folder

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

}  // namespace fettle
