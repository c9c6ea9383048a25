// fettle train: from a folder of pictures to a run folder.
#include <csignal>
#include <filesystem>
#include <iostream>
#include <optional>

#include "apps/classifier.h"
#include "apps/commands.h"
#include "apps/options.h"
#include "apps/progress.h"
#include "apps/table.h"
#include "engine/train/device_batches.h"
#include "io/checkpoint.h"
#include "io/safetensors.h"

namespace fettle {
namespace {

volatile std::sig_atomic_t stop_requested = 0;

/// The first Ctrl-C asks the training to stop, the second one ends the program.
void request_stop(int signal) {
  stop_requested = 1;
  std::signal(signal, SIG_DFL);
}

struct TrainOptions {
  std::string model, data, validation_data, out;
  ImageSize image_size;
  int64_t channels = 3, epochs = 16, batch_size = 32;
  double learning_rate = 0;  // 0: the optimizer's own
  std::string optimizer = "adam", schedule = "plateau", augment = "default";
  std::string class_weights = "none", monitor;
  double momentum = 0.9, weight_decay = 0.004, validation_split = 0.2, label_smoothing = 0;
  int64_t early_stopping = 5;
  uint64_t seed = 123;
  std::string device = "auto";
  bool cache = false, skip_broken = false, resume = false;

  /// Calls f(name, value) for each option that a resumed run takes from its run folder.
  template <class F>
  void visit(const F& f) {
    f("data", data);
    f("validation-data", validation_data);
    f("epochs", epochs);
    f("batch-size", batch_size);
    f("learning-rate", learning_rate);
    f("optimizer", optimizer);
    f("momentum", momentum);
    f("weight-decay", weight_decay);
    f("schedule", schedule);
    f("early-stopping", early_stopping);
    f("monitor", monitor);
    f("augment", augment);
    f("class-weights", class_weights);
    f("label-smoothing", label_smoothing);
    f("validation-split", validation_split);
    f("cache", cache);
    f("skip-broken", skip_broken);
  }
};

std::string option_text(const std::string& value) {
  return value;
}
template <class Number>
std::string option_text(Number value) {
  std::ostringstream out;
  out.precision(17);
  out << value;
  return out.str();
}

/// The pictures to learn from and to validate with.
struct Data {
  std::vector<std::string> class_names;
  std::vector<Example> train, validation;
};

ClassFolder read_folder(const std::string& path, bool skip_broken) {
  ClassFolder folder = read_class_folder(path, skip_broken);
  for (const BrokenFile& broken : folder.broken) {
    std::cerr << "Left out: " << broken.reason << "\n";
  }
  if (!folder.others.empty()) {
    std::cerr << "Ignored " << folder.others.size() << " files in " << path
              << " that are no pictures, for example " << folder.others[0] << "\n";
  }
  return folder;
}

Data read_data(const TrainOptions& o) {
  const ClassFolder folder = read_folder(o.data, o.skip_broken);
  Data data{folder.class_names, {}, {}};
  if (!o.validation_data.empty()) {
    const ClassFolder validation = read_folder(o.validation_data, o.skip_broken);
    require(validation.class_names == folder.class_names, "the classes of '", o.validation_data,
            "' are not those of '", o.data, "'; both need the same subfolders");
    data.train = folder.examples;
    data.validation = validation.examples;
  } else if (o.validation_split > 0) {
    std::tie(data.train, data.validation) = split(folder.examples, o.validation_split, o.seed);
  } else {
    data.train = folder.examples;
  }
  return data;
}

void print_data(const TrainOptions& o, const Data& data) {
  std::cerr << "Pictures: " << data.train.size() << " to train, " << data.validation.size()
            << " to validate, of the classes";
  std::vector<int64_t> counts(data.class_names.size());
  for (const Example& example : data.train) ++counts[example.label];
  for (size_t k = 0; k < counts.size(); ++k) {
    std::cerr << (k ? ", " : " ") << data.class_names[k] << " (" << counts[k] << ")";
  }
  std::cerr << "  [" << o.data << "]\n";
}

std::vector<float> class_weights(const TrainOptions& o, const Data& data) {
  if (o.class_weights == "none") return {};
  std::vector<int64_t> counts(data.class_names.size());
  for (const Example& example : data.train) ++counts[example.label];
  return balanced_class_weights(counts);
}

std::vector<std::unique_ptr<Callback>> callbacks(const TrainOptions& o, const Data& data,
                                                 const Optimizer& optimizer,
                                                 const NamedTensors& tensors) {
  const std::string watched = !o.monitor.empty()        ? o.monitor
                              : data.validation.empty() ? "loss"
                                                        : "val_loss";
  std::vector<std::unique_ptr<Callback>> all;
  if (o.schedule == "plateau") {
    all.push_back(std::make_unique<ReduceLROnPlateau>(ReduceLROnPlateau::Options{
        .monitor = watched, .factor = 0.2, .patience = 3, .min_lr = 1e-5}));
  } else if (o.schedule != "constant") {
    const auto kind = o.schedule == "cosine" ? LearningRateSchedule::Kind::cosine
                                             : LearningRateSchedule::Kind::step;
    all.push_back(std::make_unique<LearningRateSchedule>(
        LearningRateSchedule::Options{.kind = kind,
                                      .initial = optimizer.learning_rate(),
                                      .epochs = o.epochs,
                                      .every = std::max<int64_t>(1, o.epochs / 3)}));
  }
  all.push_back(std::make_unique<EarlyStopping>(
      EarlyStopping::Options{
          .monitor = watched, .patience = o.early_stopping, .stop = o.early_stopping > 0},
      tensors));
  return all;
}

/// Options that the run folder fixed when it was begun; --epochs given anew may extend the run.
void take_from_run(TrainOptions& o, const RunConfig& config, bool epochs_given) {
  o.model = config.model;
  o.image_size = {config.height, config.width};
  o.channels = config.channels;
  o.seed = config.seed;
  o.visit([&](const std::string& name, auto& value) {
    const auto found = config.options.find(name);
    if (found == config.options.end() || (name == "epochs" && epochs_given)) return;
    require(CLI::detail::lexical_cast(found->second, value), "config.json of the run holds '",
            found->second, "' for --", name);
  });
}

RunConfig config_of(TrainOptions& o, const Data& data) {
  const ModelEntry& entry = model_entry(o.model);
  RunConfig config{.model = o.model,
                   .height = o.image_size.height > 0 ? o.image_size.height : entry.height,
                   .width = o.image_size.width > 0 ? o.image_size.width : entry.width,
                   .channels = o.channels,
                   .class_names = data.class_names,
                   .seed = o.seed,
                   .options = {}};
  o.visit([&](const std::string& name, auto& value) { config.options[name] = option_text(value); });
  return config;
}

PictureSourceOptions source_options(const TrainOptions& o, const RunConfig& config, bool shuffle) {
  return {.height = config.height,
          .width = config.width,
          .channels = config.channels,
          .batch_size = o.batch_size,
          .shuffle = shuffle,
          .seed = o.seed,
          .cache = o.cache,
          .skip_broken = o.skip_broken};
}

OptimizerOptions optimizer_options(const TrainOptions& o) {
  OptimizerOptions options{.name = o.optimizer};
  if (o.learning_rate > 0) options.learning_rate = static_cast<float>(o.learning_rate);
  options.momentum = static_cast<float>(o.momentum);
  options.weight_decay = static_cast<float>(o.weight_decay);
  return options;
}

/// Says how the training ended. Throws Error when it was interrupted.
void report(const TrainOptions& o, const Trainer& trainer, FitEnd end, Device device) {
  if (end == FitEnd::interrupted) {
    throw Error("training was interrupted after ", trainer.epochs_done(), " whole epochs; ",
                trainer.epochs_done() > 0 ? "go on with: fettle train --resume --out " + o.out
                                          : "there is no checkpoint yet, so begin again");
  }
  if (end == FitEnd::stopped_early) {
    std::cerr << "Stopped early: no improvement for " << o.early_stopping << " epochs.";
  } else {
    std::cerr << "Trained all epochs: " << trainer.epochs_done() << ".";
  }
  std::cerr << " The best weights are in " << RunFolder(o.out).weights()
            << "\nPeak memory of tensors: " << (memory_stats(device).peak >> 20) << " MiB\n";
}

void train(TrainOptions o, bool epochs_given) {
  const RunFolder run(o.out);
  if (o.resume) {
    take_from_run(o, read_config(run), epochs_given);
  } else {
    require(!std::filesystem::exists(run.config()), "'", o.out,
            "' already holds a run; go on with it by --resume, or give another --out");
    require(!o.model.empty() && !o.data.empty(),
            "--model and --data are needed to begin a run (a run goes on with --resume)");
  }
  const Device device = choose_device(o.device);
  model_entry(o.model);  // a wrong name is told before the pictures are read
  const Data data = read_data(o);
  print_data(o, data);
  const RunConfig config = config_of(o, data);
  if (o.resume) {
    require(config.class_names == read_config(run).class_names, "the classes in '", o.data,
            "' are no longer those of the run '", o.out, "'");
  }

  Classifier classifier = make_classifier(config);
  move_to(classifier.model, device);
  const NamedTensors tensors = named_tensors(classifier.model);
  const auto optimizer = make_optimizer(optimizer_options(o), tensors);

  PictureSource train_source(data.train, source_options(o, config, true));
  std::unique_ptr<PictureSource> validation_source;
  if (!data.validation.empty()) {
    validation_source =
        std::make_unique<PictureSource>(data.validation, source_options(o, config, false));
  }

  DeviceBatches train_batches(train_source, device);
  std::optional<DeviceBatches> validation_batches;
  if (validation_source) validation_batches.emplace(*validation_source, device);

  Progress progress;
  std::optional<Trainer> trainer;
  FitOptions fit_options{
      .epochs = o.epochs,
      .seed = o.seed,
      .on_batch = [&](const BatchProgress& p) { progress.batch(p); },
      .on_epoch = [&](int64_t epoch,
                      const EpochLog& log) { progress.line(epoch_line(epoch, o.epochs, log)); },
      .checkpoint =
          [&](const TrainingState& state) {
            write_config(run, config);  // only now: without a checkpoint there is no run to resume
            write_checkpoint(run.checkpoint(), state);
            write_history(run.history(), trainer->history());
          },
      .interrupted = [] { return stop_requested != 0; }};
  trainer.emplace(classifier.function(), tensors,
                  cross_entropy(class_weights(o, data), static_cast<float>(o.label_smoothing)),
                  *optimizer, callbacks(o, data, *optimizer, tensors), fit_options);
  if (o.resume) {
    trainer->restore(read_checkpoint(run.checkpoint()));
    std::cerr << "Going on after epoch " << trainer->epochs_done() << "\n";
  }
  run.create();
  std::signal(SIGINT, request_stop);
  std::signal(SIGTERM, request_stop);
  const FitEnd end =
      trainer->fit(train_batches, validation_batches ? &*validation_batches : nullptr);
  progress.clear();
  for (const auto& [path, reason] : train_source.skipped()) {
    std::cerr << "Left out: " << reason << "\n";
  }
  if (end != FitEnd::interrupted) {
    write_safetensors(run.weights(), tensors, {{"format", "fettle"}, {"layout", "KRSC"}});
  }
  report(o, *trainer, end, device);
}

}  // namespace

void add_train(CLI::App& program) {
  CLI::App* command = program.add_subcommand(
      "train", "Train a model on a folder of pictures with one subfolder a class");
  auto o = std::make_shared<TrainOptions>();
  std::string names;
  for (const ModelEntry& entry : model_entries()) {
    names += (names.empty() ? "" : ", ") + entry.name;
  }
  command->add_option("--model", o->model, "What to train: " + names);
  command->add_option("--data", o->data, "Folder with a subfolder of pictures for each class");
  command->add_option("--validation-data", o->validation_data,
                      "Another such folder to validate with, instead of --validation-split");
  command->add_option("--out", o->out, "Run folder to write")->required();
  command->add_flag("--resume", o->resume,
                    "Go on with the run in --out from its last checkpoint and with its options; "
                    "the result has the same bits as if it had never stopped");
  add_image_size(*command, o->image_size);
  command->add_option("--channels", o->channels, "3 for colour, 1 for grey")
      ->check(CLI::IsMember({1, 3}))
      ->capture_default_str();
  CLI::Option* epochs =
      command->add_option("--epochs", o->epochs, "Passes over the pictures, at the most")
          ->check(CLI::Range(1, 1000000))
          ->capture_default_str();
  command->add_option("--batch-size", o->batch_size, "Pictures a training step")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  command->add_option("--learning-rate", o->learning_rate, "[0.001; 0.01 for sgd]")
      ->check(CLI::PositiveNumber);
  command->add_option("--optimizer", o->optimizer, "sgd, adam, adamw or nadam")
      ->check(CLI::IsMember({"sgd", "adam", "adamw", "nadam"}))
      ->capture_default_str();
  command->add_option("--momentum", o->momentum, "Of sgd")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command->add_option("--weight-decay", o->weight_decay, "Of adamw")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command
      ->add_option("--schedule", o->schedule,
                   "Learning rate: plateau (a fifth after 3 epochs without improvement), cosine, "
                   "step (a tenth after each third of the epochs) or constant")
      ->check(CLI::IsMember({"plateau", "cosine", "step", "constant"}))
      ->capture_default_str();
  command
      ->add_option("--early-stopping", o->early_stopping,
                   "End after so many epochs without improvement; 0: never. The best weights are "
                   "kept in any case")
      ->check(CLI::Range(0, 1000000))
      ->capture_default_str();
  command->add_option("--monitor", o->monitor, "Figure that says what improvement is [val_loss]");
  command
      ->add_option("--validation-split", o->validation_split,
                   "Part of the pictures that only validates")
      ->check(CLI::Range(0.0, 0.99))
      ->capture_default_str();
  command
      ->add_option("--augment", o->augment,
                   "Random changes in training: default (the model's own), none, or a list such as "
                   "flip=horizontal,rotation=0.1,zoom=0.1,contrast=0.1,brightness=0.1")
      ->capture_default_str();
  command->add_option("--class-weights", o->class_weights, "none or balanced")
      ->check(CLI::IsMember({"none", "balanced"}))
      ->capture_default_str();
  command->add_option("--label-smoothing", o->label_smoothing, "0 to below 1")
      ->check(CLI::Range(0.0, 0.99))
      ->capture_default_str();
  command->add_option("--seed", o->seed, "The same seed gives the same bits")
      ->check(CLI::Range(uint64_t{0}, uint64_t{0xFFFFFFFF}))
      ->capture_default_str();
  command->add_flag("--cache", o->cache, "Keep the decoded pictures in memory");
  command->add_flag("--skip-broken", o->skip_broken, "Leave out pictures that cannot be read");
  add_threads(*command);
  add_device(*command, o->device);
  command->callback([o, epochs] { train(*o, epochs->count() > 0); });
}

}  // namespace fettle
