// Transfer learning: the options of fettle train about it, and what happens between epochs.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "engine/train/callbacks.h"
#include "models/classifier.h"

namespace fettle {

/// What fettle train can be told about weights from elsewhere.
struct TransferOptions {
  std::string weights, preprocess = "default", head = "default";
  bool new_head = false;
  bool freeze_backbone = false;
  int64_t unfreeze_at = 0;  ///< the epoch, from 1, with which the whole model trains; 0: never
  double fine_tune_learning_rate = 1e-5;

  /// Calls f(name, value) for each option that a resumed run takes from its run folder.
  template <class F>
  void visit(const F& f) {
    f("weights", weights);
    f("new-head", new_head);
    f("preprocess", preprocess);
    f("head", head);
    f("freeze-backbone", freeze_backbone);
    f("unfreeze-at", unfreeze_at);
    f("fine-tune-learning-rate", fine_tune_learning_rate);
  }

  /// The first epoch, from 0, of the whole model after a frozen one; 0: there is none.
  int64_t fine_tuning_epoch() const { return unfreeze_at > 1 ? unfreeze_at - 1 : 0; }
};

/// --head.
void add_head(CLI::App& command, std::string& head);

/// Adds the options above to the command.
void add_transfer_options(CLI::App& command, TransferOptions& options);

/// Throws ArgumentError naming the option that `model` has no use for.
void check(const TransferOptions& options, Layer& model, const std::string& name);

/// Freezes the backbone of a Classifier if the options say so.
void freeze(const TransferOptions& options, Layer& model);

/// Trains the head of a frozen Classifier first, and the whole model from an epoch on, with an
/// optimiser that begins anew at a learning rate of its own. What it does depends on the epoch's
/// number alone, so that a resumed run needs nothing from it.
class FineTuning : public Callback {
 public:
  /// `epoch` counts from 0.
  FineTuning(Classifier& model, int64_t epoch, double learning_rate)
      : model_(model), epoch_(epoch), learning_rate_(learning_rate) {}
  void on_epoch_begin(int64_t epoch, TrainingControl& control) override;
  void on_epoch_end(int64_t, const EpochLog&, TrainingControl&) override {}
  std::string name() const override { return "fine_tuning"; }

 private:
  Classifier& model_;
  int64_t epoch_;
  double learning_rate_;
};

}  // namespace fettle
