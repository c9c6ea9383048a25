// What may act between epochs, with Keras's names and counting.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "engine/named_tensor.h"
#include "engine/train/metrics.h"
#include "engine/train/optimizer.h"

namespace fettle {

/// The figure of that name. Throws ArgumentError listing the names when there is none.
double figure(const EpochLog& log, const std::string& name);

/// What a callback may change.
struct TrainingControl {
  Optimizer& optimizer;
  const NamedTensors& model;  ///< every parameter and buffer
  bool stop = false;          ///< set to end the training after this epoch
};

class Callback {
 public:
  virtual ~Callback() = default;
  /// Throws Error when it needs a figure that `log` lacks; called once, before the training.
  virtual void check(const EpochLog& /*log*/) const {}
  /// `epoch` counts from 0.
  virtual void on_epoch_begin(int64_t /*epoch*/, TrainingControl&) {}
  virtual void on_epoch_end(int64_t epoch, const EpochLog& log, TrainingControl& control) = 0;
  virtual void on_training_end(TrainingControl&) {}

  /// What a resumed run needs: small values as text, and tensors (written to by restoring).
  virtual std::string name() const = 0;
  virtual std::map<std::string, std::string> values() const { return {}; }
  virtual void restore(const std::map<std::string, std::string>&) {}
  virtual NamedTensors tensors() const { return {}; }
};

/// Remembers the best value of a figure. Names that end in "accuracy", "auc", "precision",
/// "recall", "f1", "dice" or "iou" are better when larger, the others when smaller.
class Monitor {
 public:
  Monitor(std::string figure, double min_delta);
  /// Whether this epoch is better than the best before by more than min_delta; remembers it then.
  bool improved(const EpochLog& log);
  /// Throws Error when the log lacks the figure.
  void check(const EpochLog& log) const { figure(log, figure_); }
  std::string value() const;
  void restore(const std::string& value);

 private:
  std::string figure_;
  double sign_, min_delta_, best_;
};

/// The epoch, from 0, whose weights EarlyStopping puts back: the first with the best value of the
/// figure. Throws Error when the history, which must not be empty, lacks the figure.
int64_t best_epoch(const std::vector<EpochLog>& history, const std::string& figure);

/// Multiplies the learning rate by `factor` when the figure has not improved for `patience` epochs.
class ReduceLROnPlateau : public Callback {
 public:
  struct Options {
    std::string monitor = "val_loss";
    double factor = 0.1;
    int64_t patience = 10;
    double min_delta = 1e-4;
    int64_t cooldown = 0;
    double min_lr = 0;
  };
  explicit ReduceLROnPlateau(const Options& options);
  void check(const EpochLog& log) const override { monitor_.check(log); }
  void on_epoch_end(int64_t epoch, const EpochLog& log, TrainingControl& control) override;
  std::string name() const override { return "reduce_lr_on_plateau"; }
  std::map<std::string, std::string> values() const override;
  void restore(const std::map<std::string, std::string>& values) override;

 private:
  Options options_;
  Monitor monitor_;
  int64_t wait_ = 0, cooldown_ = 0;
};

/// Ends the training when the figure has not improved for `patience` epochs, and puts the weights
/// of the best epoch back.
class EarlyStopping : public Callback {
 public:
  struct Options {
    std::string monitor = "val_loss";
    int64_t patience = 0;
    double min_delta = 0;
    bool restore_best_weights = true;
    bool stop = true;              ///< false: run all epochs and only put the best weights back
    int64_t start_from_epoch = 0;  ///< epochs before it are not counted as waiting
  };
  EarlyStopping(const Options& options, const NamedTensors& model);
  void check(const EpochLog& log) const override { monitor_.check(log); }
  void on_epoch_end(int64_t epoch, const EpochLog& log, TrainingControl& control) override;
  void on_training_end(TrainingControl& control) override;
  std::string name() const override { return "early_stopping"; }
  std::map<std::string, std::string> values() const override;
  void restore(const std::map<std::string, std::string>& values) override;
  NamedTensors tensors() const override { return best_; }
  /// The epoch whose weights are kept, from 0.
  int64_t best_epoch() const { return best_epoch_; }

 private:
  Options options_;
  Monitor monitor_;
  int64_t wait_ = 0, best_epoch_ = 0;
  NamedTensors best_;
};

/// Sets the learning rate of each epoch from its number.
class LearningRateSchedule : public Callback {
 public:
  enum class Kind { step, cosine };
  struct Options {
    Kind kind = Kind::cosine;
    double initial = 1e-3;  ///< learning rate of the first epoch after the warm-up
    int64_t epochs = 1;     ///< of the whole training
    int64_t warmup = 0;     ///< epochs over which the rate rises evenly to `initial`
    double factor = 0.1;    ///< step: what the rate is multiplied by ...
    int64_t every = 30;     ///< step: ... after so many epochs
    double final_rate = 0;  ///< cosine: what the rate falls to (Loshchilov, Hutter, ICLR 2017)
    int64_t first = 0;      ///< the epoch from which it acts, and counts
  };
  explicit LearningRateSchedule(const Options& options) : options_(options) {}
  double learning_rate(int64_t epoch) const;
  void on_epoch_begin(int64_t epoch, TrainingControl& control) override;
  void on_epoch_end(int64_t, const EpochLog&, TrainingControl&) override {}
  std::string name() const override { return "learning_rate_schedule"; }

 private:
  Options options_;
};

/// A number as text that reads back to the same bits, and back.
std::string exact_text(double value);
double exact_value(const std::string& text);

}  // namespace fettle
