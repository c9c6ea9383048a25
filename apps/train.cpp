// fettle train: from a folder of pictures to a run folder.
#include <csignal>
#include <filesystem>
#include <iostream>
#include <optional>

#include "apps/commands.h"
#include "apps/conv_plans.h"
#include "apps/objective.h"
#include "apps/option_use.h"
#include "apps/progress.h"
#include "apps/resume.h"
#include "apps/train_command.h"
#include "apps/trained_model.h"
#include "apps/training_data.h"
#include "apps/weights.h"
#include "engine/argument_error.h"
#include "engine/counted.h"
#include "engine/train/device_batches.h"
#include "io/checkpoint.h"
#include "io/folder.h"
#include "io/run_lock.h"
#include "io/safetensors.h"

namespace fettle {
namespace {

volatile std::sig_atomic_t stop_requested = 0;

/// The first Ctrl-C asks the training to stop, the second one ends the program.
void request_stop(int signal) {
  stop_requested = 1;
  std::signal(signal, SIG_DFL);
}

/// The schedule of the epochs from `first` to before `end`, beginning at `rate`.
std::unique_ptr<Callback> schedule(const TrainOptions& o, double rate, int64_t first, int64_t end) {
  const auto kind = o.schedule == "cosine" ? LearningRateSchedule::Kind::cosine
                                           : LearningRateSchedule::Kind::step;
  return std::make_unique<LearningRateSchedule>(
      LearningRateSchedule::Options{.kind = kind,
                                    .initial = rate,
                                    .epochs = end - first,
                                    .every = std::max<int64_t>(1, (end - first) / 3),
                                    .first = first});
}

std::vector<std::unique_ptr<Callback>> callbacks(const TrainOptions& o, bool validates,
                                                 const Optimizer& optimizer,
                                                 const NamedTensors& tensors, Layer& model) {
  const int64_t fine_tuning = o.transfer.fine_tuning_epoch();
  const bool scheduled = o.schedule == "cosine" || o.schedule == "step";
  const std::string watched = watched_figure(o, validates);
  std::vector<std::unique_ptr<Callback>> all;
  if (o.schedule == "plateau") {
    all.push_back(std::make_unique<ReduceLROnPlateau>(ReduceLROnPlateau::Options{
        .monitor = watched, .factor = 0.2, .patience = 3, .min_lr = 1e-5}));
  } else if (scheduled) {
    const int64_t end = fine_tuning > 0 ? std::min(fine_tuning, o.epochs) : o.epochs;
    all.push_back(schedule(o, optimizer.learning_rate(), 0, end));
  }
  if (fine_tuning > 0) {
    const double rate = o.transfer.fine_tune_learning_rate;
    all.push_back(
        std::make_unique<FineTuning>(dynamic_cast<Classifier&>(model), fine_tuning, rate));
    if (scheduled) all.push_back(schedule(o, rate, fine_tuning, o.epochs));
  }
  all.push_back(
      std::make_unique<EarlyStopping>(EarlyStopping::Options{.monitor = watched,
                                                             .patience = o.early_stopping,
                                                             .stop = o.early_stopping > 0,
                                                             .start_from_epoch = fine_tuning},
                                      tensors));
  return all;
}

/// Validation looks at whole pictures where they have one size, else at crops that stay the same.
PictureSourceOptions source_options(const TrainOptions& o, const RunConfig& config, bool training,
                                    Device device) {
  const int64_t multiple = model_entry(config.model).multiple;
  const bool whole = !training && config.height > 0 && config.width > 0 &&
                     config.height % multiple == 0 && config.width % multiple == 0;
  return {.height = config.height,
          .width = config.width,
          .channels = config.channels,
          .batch_size = o.batch_size,
          .crop_height = whole ? 0 : config.crop_height,
          .crop_width = whole ? 0 : config.crop_width,
          .standardize = model_entry(config.model).standardize,
          .as_bytes = device.is_cuda(),
          .shuffle = training,
          .seed = o.seed,
          .cache = o.cache,
          .skip_broken = o.skip_broken};
}

OptimizerOptions optimizer_options(const TrainOptions& o) {
  OptimizerOptions options{.name = o.optimizer};
  if (o.learning_rate > 0) options.learning_rate = static_cast<float>(o.learning_rate);
  options.momentum = static_cast<float>(o.momentum);
  options.weight_decay = static_cast<float>(o.weight_decay);
  if (o.epsilon > 0) options.epsilon = static_cast<float>(o.epsilon);
  return options;
}

PictureSource source(const TrainOptions& o, const RunConfig& config, const Data& data, Task task,
                     bool training, Device device) {
  const PictureSourceOptions options = source_options(o, config, training, device);
  if (task == Task::segmentation) return {data.masks, options};
  return {data.examples, options};
}

/// Says how the training ended. Throws Error when it was interrupted.
void report(const TrainOptions& o, const Trainer& trainer, FitEnd end, Device device) {
  if (end == FitEnd::interrupted) {
    throw Error("training was interrupted after ", counted(trainer.epochs_done(), "whole epoch"),
                "; ",
                trainer.epochs_done() > 0 ? "go on with: " + RunFolder(o.out).resume_command()
                                          : "there is no checkpoint yet, so begin again");
  }
  if (end == FitEnd::stopped_early) {
    std::cerr << "Stopped early: no improvement for " << counted(o.early_stopping, "epoch") << ".";
  } else {
    std::cerr << "Trained all epochs: " << trainer.epochs_done() << ".";
  }
  std::cerr << " The best weights are in " << RunFolder(o.out).weights()
            << "\nPeak memory of tensors: " << (memory_stats(device).peak >> 20) << " MiB\n";
}

void require_no_run(const RunFolder& run) {
  require(!std::filesystem::exists(run.config()), "'", run.path(),
          "' already holds a run; go on with it by --resume, or give another --out");
}

/// Refuses what cannot be trained so, before anything is read, and takes what a run fixed.
void prepare(TrainOptions& o, const RunFolder& run) {
  if (o.resume) {
    take_from_run(o, read_config(run));
  } else {
    require_argument(!o.model.empty() && !o.data.empty(),
                     "--model and --data are needed to begin a run (a run goes on with --resume)");
    check_use(o);
    require_no_run(run);
  }
  for (const std::string& data : {o.data, o.validation_data})
    require_argument(data.empty() || !lies_in(o.out, data), "--out '", o.out,
                     "' lies in the folder of pictures '", data,
                     "', where it would be read as pictures, too; give a folder outside of it");
}

/// Weights that are trained further have the threshold and the temperature of a new run again. Says
/// so if others had been chosen.
void forget_choices(RunConfig& config, Progress& progress) {
  if (config.threshold == default_threshold && config.temperature == default_temperature &&
      config.threshold_goal.empty())
    return;
  config.threshold = default_threshold;
  config.temperature = default_temperature;
  config.threshold_goal.clear();
  progress.line(
      cat("Note: the threshold and the temperature were chosen for the weights before, and "
          "are ",
          config.threshold, " and ", config.temperature,
          " again; choose them anew with fettle evaluate"));
}

/// Removes the figures of the weights before, which would pass for those of the new ones. Says so.
void remove_figures(const RunFolder& run, Progress& progress) {
  std::string removed;
  for (const std::string& file : run.figures())
    if (std::filesystem::remove(file))
      removed += (removed.empty() ? "" : ", ") + std::filesystem::path(file).filename().string();
  if (!removed.empty())
    progress.line(cat("Note: ", removed,
                      ": removed, as they are of the weights before; measure anew with fettle "
                      "evaluate and fettle report"));
}

void train(TrainOptions o) {
  const RunFolder run(o.out);
  prepare(o, run);
  std::optional<RunLock> lock;
  const auto place = std::filesystem::path(run.lock()).parent_path();
  if (std::filesystem::is_directory(place)) lock.emplace(run);  // before the data are read
  const Task task = model_entry(o.model).task;
  const Device device = choose_device(o.compute);
  require_argument(!o.cuda_graph || device.is_cuda(), "--cuda-graph is for a GPU, not for ",
                   to_string(device));
  ConvPlans conv_plans(o.conv_plans, device);
  Training t{task, {}, {}};
  std::tie(t.train, t.validation) = read_data(o, task);
  print_data(o, t);
  check_classes(t);
  check_validation(o, t);
  std::unique_ptr<WeightFile> weights;
  if (!o.resume) {
    if (!o.transfer.weights.empty()) weights = open_weights(o.transfer.weights);
    o.transfer.preprocess =
        preprocess_of(o.transfer.preprocess, model_entry(o.model), weights.get());
  }
  RunConfig config = config_of(o, t.train);
  config.data_checksum = checksum_of(o, t.train, t.validation);
  if (o.resume) {
    const RunConfig begun = read_config(run);
    config.threshold = begun.threshold;
    config.threshold_goal = begun.threshold_goal;
    config.temperature = begun.temperature;
    config.file = begun.file;
    require(config.class_names == begun.class_names && config.multi_label == begun.multi_label,
            "the classes or labels in '", o.data, "' are no longer those of the run '", o.out, "'");
  }

  TrainedModel model = make_model(config);
  check(o.transfer, *model.layer, o.model);
  if (weights) load_weights(*weights, *model.layer, o.transfer.new_head);
  move_to(*model.layer, device);
  // The optimizer is made for what is trained at some time.
  const bool freed_later = o.transfer.fine_tuning_epoch() > 0;
  if (!freed_later) freeze(o.transfer, *model.layer);
  const NamedTensors tensors = named_tensors(*model.layer);
  const auto optimizer = make_optimizer(optimizer_options(o), tensors);
  if (freed_later) freeze(o.transfer, *model.layer);

  PictureSource train_source = source(o, config, t.train, task, true, device);
  std::optional<PictureSource> validation_source;
  if (t.validates())
    validation_source.emplace(source(o, config, t.validation, task, false, device));

  DeviceBatches train_batches(train_source, device);
  std::optional<DeviceBatches> validation_batches;
  if (validation_source) validation_batches.emplace(*validation_source, device);

  Progress progress;
  const auto forget_weights_before = [&] {
    forget_choices(config, progress);
    remove_figures(run, progress);
  };
  std::optional<Trainer> trainer;
  FitOptions fit_options{
      .epochs = o.epochs,
      .seed = o.seed,
      .on_batch = [&](const BatchProgress& p) { progress.batch(p); },
      .on_epoch = [&](int64_t epoch,
                      const EpochLog& log) { progress.line(epoch_line(epoch, o.epochs, log)); },
      .checkpoint =
          [&](const TrainingState& state) {
            forget_weights_before();
            write_config(run, config);  // only now: without a checkpoint there is no run to resume
            write_checkpoint(run.checkpoint(), state);
            write_history(run.history(), trainer->history());
            conv_plans.save();
          },
      .interrupted = [] { return stop_requested != 0; },
      .cuda_graph = o.cuda_graph};
  add_measures(o, t, fit_options);
  trainer.emplace(model.function(), tensors, loss_of(o, t), *optimizer,
                  callbacks(o, t.validates(), *optimizer, tensors, *model.layer), fit_options);
  if (o.resume) {
    trainer->restore(read_checkpoint(run.checkpoint()));
    const int64_t done = trainer->epochs_done();
    require_argument(!o.given.contains("epochs") || o.epochs >= done, "--epochs ", o.epochs,
                     ": the run has trained ", counted(done, "epoch"),
                     " already; give more, or leave it out");
    std::cerr << "Going on after epoch " << done << "\n";
  }
  trainer->check(t.validates());  // before anything is written
  run.create();
  if (!lock) {
    lock.emplace(run);
    require_no_run(run);  // that another training has just ended
  }
  std::signal(SIGINT, request_stop);
  std::signal(SIGTERM, request_stop);
  const FitEnd end =
      trainer->fit(train_batches, validation_batches ? &*validation_batches : nullptr);
  progress.clear();
  for (const auto& [path, reason] : train_source.skipped()) {
    std::cerr << "Left out: " << reason << "\n";
  }
  if (end != FitEnd::interrupted) {
    // A training that died after its last checkpoint may have been measured meanwhile.
    if (!holds(run.weights(), tensors)) forget_weights_before();
    write_config(run, config);
    write_safetensors(run.weights(), tensors,
                      {{"format", "fettle"},
                       {"layout", "KRSC"},
                       {"model", o.model},
                       {"preprocess", o.transfer.preprocess}});
  }
  report(o, *trainer, end, device);
}

}  // namespace

void add_train(CLI::App& program) {
  CLI::App* command = program.add_subcommand(
      "train", "Train a model on a folder of pictures: to tell classes, or to draw defects");
  auto o = std::make_shared<TrainOptions>();
  add_train_options(*command, *o);
  command->callback([o, command] {
    o->given = given_options(*command);
    train(*o);
  });
}

}  // namespace fettle
