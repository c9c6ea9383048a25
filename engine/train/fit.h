// The training loop.
//
// Everything random is keyed by (seed, step), every sum has a fixed order, and state() holds all
// that changes: a run that is taken up from a checkpoint ends with the same bits as one that was
// never interrupted, whatever the number of threads.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/train/batch.h"
#include "engine/train/callbacks.h"
#include "engine/train/metrics.h"
#include "engine/train/step_graph.h"
#include "engine/train/training_state.h"

namespace fettle {

/// Pictures [N,H,W,C] to logits.
using ModelFunction = std::function<Tensor(const Tensor& x)>;
/// Logits and what they should have been to one number, which backward() begins with.
using LossFunction = std::function<Tensor(const Tensor& logits, const Tensor& targets)>;
/// A fresh counter for the figures of one pass over a source.
using MakeCounter = std::function<std::unique_ptr<MetricsCounter>()>;

/// What is known in the middle of an epoch.
struct BatchProgress {
  int64_t epoch = 0, epochs = 0;  ///< epoch counts from 1
  int64_t batch = 0, batches = 0;
  double loss = 0;  ///< since the epoch's beginning, as the headline
  std::function<std::pair<std::string, double>()> headline;  ///< waits for the device
  double pictures_per_second = 0;
  double seconds_left = 0;  ///< of this epoch's training part
};

/// How long and with what a Trainer trains, and whom it tells.
struct FitOptions {
  int64_t epochs = 1;
  uint64_t seed = 0;
  MakeCounter counter = [] { return std::make_unique<ClassMetricsCounter>(); };
  std::function<void(Batch&)> augment =
      {};  ///< changes training batches; draws by the step's random keys
  std::function<void(const BatchProgress&)> on_batch = {};  ///< after every batch
  std::function<void(int64_t epoch, const EpochLog&)>
      on_epoch;                                          ///< after every epoch, which counts from 1
  std::function<void(const TrainingState&)> checkpoint;  ///< after every epoch, before on_epoch
  std::function<bool()> interrupted;                     ///< asked after every batch
  /// On a GPU: steps with batches of one shape are one CUDA graph, captured at the second such
  /// batch, and anew when the optimizer was bound anew; the results have the same bits. The memory
  /// of a step stays the graph's while pictures are validated.
  bool cuda_graph = false;
};

/// Why fit() came back.
enum class FitEnd { all_epochs, stopped_early, interrupted };

/// Trains a model on batches: forward, loss, backward and a step of the optimiser for each,
/// figures, validation and callbacks at the end of an epoch.
class Trainer {
 public:
  /// `tensors`: every parameter and buffer of the model.
  Trainer(ModelFunction model, NamedTensors tensors, LossFunction loss, Optimizer& optimizer,
          std::vector<std::unique_ptr<Callback>> callbacks, FitOptions options);

  /// Throws ArgumentError when a callback watches a figure that this training will not have.
  void check(bool validates) const;

  /// Trains up to options.epochs, from the first epoch that is not done. When it is interrupted,
  /// the epoch under way is lost and the last checkpoint stands. Throws Error when the loss, a
  /// weight or a slot is no longer a finite number; no checkpoint ever holds such a one.
  FitEnd fit(BatchSource& train, BatchSource* validation);

  /// What restore() needs to go on from here. The tensors share the memory of the running ones.
  TrainingState state() const;
  /// Throws Error naming what differs when the state is of another model or optimiser.
  void restore(const TrainingState& state);

  int64_t epochs_done() const { return epochs_done_; }
  const std::vector<EpochLog>& history() const { return history_; }

 private:
  bool train_epoch(BatchSource& source, MetricsCounter& metrics);
  StepResult forward(const Batch& given) const;
  NamedTensors state_tensors() const;

  ModelFunction model_;
  NamedTensors tensors_;
  LossFunction loss_;
  Optimizer& optimizer_;
  std::vector<std::unique_ptr<Callback>> callbacks_;
  FitOptions options_;
  int64_t epochs_done_ = 0, step_ = 0;
  bool stopped_ = false;
  std::vector<EpochLog> history_;
  int64_t captured_with_ = 0;  ///< rebindings of the optimizer at the capture
  std::optional<StepGraph> graph_;
};

/// Adds what a model says of one epoch of a source, in prediction mode. `on_batch` may be empty.
/// Throws Error when the source hands out nothing.
void evaluate(const ModelFunction& model, const LossFunction& loss, BatchSource& source,
              MetricsCounter& counter, const std::function<void(int64_t batch)>& on_batch = {});

/// Weights n / (K * count) that give every class the same share of the loss (scikit-learn's
/// "balanced"). Throws Error when a class has no example.
std::vector<float> balanced_class_weights(const std::vector<int64_t>& counts);

/// The same for each of several labels a picture by itself, as binary_cross_entropy() takes them:
/// of the pictures without the label, of those with it, [labels,2]. `counts`: the pictures with
/// each label. Throws Error when none has it, or all.
std::vector<float> balanced_label_weights(const std::vector<int64_t>& counts, int64_t pictures);

}  // namespace fettle
