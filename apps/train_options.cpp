#include "apps/train_options.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <sstream>
#include <type_traits>

#include "engine/error.h"
#include "io/csv.h"

namespace fettle {
namespace {

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

/// The values as people write them: 0.9 rather than what holds its bits, yes and no.
std::vector<std::pair<std::string, std::string>> texts_of(TrainOptions& o) {
  std::vector<std::pair<std::string, std::string>> texts;
  o.visit([&](const std::string& name, auto& value) {
    using Value = std::remove_reference_t<decltype(value)>;
    if constexpr (std::is_same_v<Value, bool>) {
      texts.emplace_back(name, value ? "yes" : "no");
    } else if constexpr (std::is_same_v<Value, double>) {
      texts.emplace_back(name, number_text(value));
    } else {
      texts.emplace_back(name, option_text(value));
    }
  });
  return texts;
}

/// A text as one word of a shell.
std::string quoted(const std::string& text) {
  const auto is_plain = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || std::strchr("_-+=.,:/@%", c) != nullptr;
  };
  if (!text.empty() && std::all_of(text.begin(), text.end(), is_plain)) return text;
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

}  // namespace

void add_train_options(CLI::App& command, TrainOptions& o) {
  std::string names;
  for (const ModelEntry& entry : model_entries()) {
    names += (names.empty() ? "" : ", ") + entry.name;
  }
  command.add_option("--model", o.model, "What to train: " + names);
  command.add_option("--data", o.data,
                     "Folder of pictures: with a subfolder for each class, with a table of labels "
                     "(--labels), or with masks");
  command.add_option("--validation-data", o.validation_data,
                     "Another such folder to validate with, instead of --validation-split");
  add_format_options(command, o.format);
  command.add_option("--validation-labels", o.validation_labels,
                     "The table of labels of --validation-data [labels.csv there]");
  command.add_option("--out", o.out, "Run folder to write")->required();
  command.add_flag("--resume", o.resume,
                   "Go on with the run in --out from its last checkpoint and with its options; "
                   "the result has the same bits as if it had never stopped");
  add_image_size(command, o.image_size);
  add_crop(command, o.crop);
  command.add_option("--channels", o.channels, "3 for colour, 1 for grey [the model's own]")
      ->check(CLI::IsMember({1, 3}));
  command
      .add_option_function<int64_t>(
          "--epochs",
          [&o](int64_t epochs) {
            o.epochs = epochs;
            o.epochs_given = true;
          },
          "Passes over the pictures, at the most [16]")
      ->check(CLI::Range(1, 1000000));
  command.add_option("--batch-size", o.batch_size, "Pictures a training step")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  command.add_option("--learning-rate", o.learning_rate, "[0.001; 0.01 for sgd]")
      ->check(CLI::PositiveNumber);
  command.add_option("--optimizer", o.optimizer, "sgd, adam, adamw or nadam")
      ->check(CLI::IsMember({"sgd", "adam", "adamw", "nadam"}))
      ->capture_default_str();
  command.add_option("--momentum", o.momentum, "Of sgd")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command.add_option("--weight-decay", o.weight_decay, "Of adamw")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command.add_option("--epsilon", o.epsilon, "Of adam, adamw and nadam [1e-7]")
      ->check(CLI::PositiveNumber);
  command
      .add_option("--schedule", o.schedule,
                  "Learning rate: plateau (a fifth after 3 epochs without improvement), cosine, "
                  "step (a tenth after each third of the epochs) or constant")
      ->check(CLI::IsMember({"plateau", "cosine", "step", "constant"}))
      ->capture_default_str();
  command
      .add_option("--early-stopping", o.early_stopping,
                  "End after so many epochs without improvement; 0: never. The best weights are "
                  "kept in any case")
      ->check(CLI::Range(0, 1000000))
      ->capture_default_str();
  command.add_option("--monitor", o.monitor, "Figure that says what improvement is [val_loss]");
  command
      .add_option("--validation-split", o.validation_split,
                  "Part of the pictures that only validates")
      ->check(CLI::Range(0.0, 0.99))
      ->capture_default_str();
  command
      .add_option("--augment", o.augment,
                  "Random changes in training: default (the model's own), none, or a list such as "
                  "flip=horizontal,rotation=0.1,zoom=0.1,contrast=0.1,brightness=0.1")
      ->capture_default_str();
  command
      .add_option(
          "--loss", o.loss,
          "Of masks: a sum of bce, dice, dice-batch, dice-kind, tversky, focal-tversky and "
          "focal-tversky-kind, such as dice+0.5*bce; classifiers: cross-entropy [default] or focal")
      ->capture_default_str();
  command
      .add_option("--false-negative-weight", o.false_negative_weight,
                  "Of the Tversky losses: the weight of missed pixels ...")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command
      .add_option("--false-positive-weight", o.false_positive_weight,
                  "... and of those drawn in vain")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command.add_option("--focal-exponent", o.focal_exponent, "Of the focal Tversky losses")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command
      .add_option("--focal-gamma", o.focal_gamma,
                  "Of a classifier's focal loss: how little counts what is already right")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--class-weights", o.class_weights, "none or balanced")
      ->check(CLI::IsMember({"none", "balanced"}))
      ->capture_default_str();
  command.add_option("--label-smoothing", o.label_smoothing, "0 to below 1")
      ->check(CLI::Range(0.0, 0.99))
      ->capture_default_str();
  command
      .add_option("--bn-momentum", o.bn_momentum,
                  "What batch-norm's moving statistics keep at each step, Keras's sense [the "
                  "model's own, 0.99 for most]")
      ->check(CLI::Range(0.0, 1.0));
  command
      .add_option("--bn-statistics", o.bn_statistics,
                  "What batch-norm uses in validation and prediction: moving, or batch (Keras's "
                  "training=True), which then depends on what else is in the batch")
      ->check(CLI::IsMember({"moving", "batch"}))
      ->capture_default_str();
  command.add_flag("--bn-first", o.bn_first,
                   "Batch-norm before ReLU in res_unet's first stage, too, where its project has "
                   "them the other way");
  command
      .add_option("--width", o.width,
                  "Channels of the first stage of res_unet [16] or a ResNet [64]")
      ->check(CLI::Range(1, 1024));
  command.add_option("--dropout", o.dropout, "After each block of res_unet")
      ->check(CLI::Range(0.0, 0.99))
      ->capture_default_str();
  command.add_option("--seed", o.seed, "The same seed gives the same bits")
      ->check(CLI::Range(uint64_t{0}, uint64_t{0xFFFFFFFF}))
      ->capture_default_str();
  command.add_flag("--cache", o.cache, "Keep the decoded pictures in memory");
  command.add_flag("--skip-broken", o.skip_broken, "Leave out pictures that cannot be read");
  add_transfer_options(command, o.transfer);
  add_threads(command);
  add_device(command, o.compute);
  command.add_option("--conv-plans", o.conv_plans,
                     "On a GPU: time the ways to compute each convolution when it is first met, "
                     "take the quickest, and keep the choices in this file for other runs");
  command.add_flag("--cuda-graph", o.cuda_graph,
                   "On a GPU: start each training step as a whole instead of kernel by kernel; the "
                   "same bits");
}

void take_from_run(TrainOptions& o, const RunConfig& config) {
  o.model = config.model;
  o.image_size = {config.height, config.width};
  o.crop = {config.crop_height, config.crop_width};
  o.channels = config.channels;
  o.seed = config.seed;
  o.visit([&](const std::string& name, auto& value) {
    const auto found = config.options.find(name);
    const bool given = (name == "epochs" && o.epochs_given) ||
                       (name == "precision" && !o.compute.precision.empty());
    if (found == config.options.end() || given) return;
    require(CLI::detail::lexical_cast(found->second, value), "config.json of the run holds '",
            found->second, "' for --", name);
  });
}

std::string watched_figure(const TrainOptions& o, bool validates) {
  return !o.monitor.empty() ? o.monitor : validates ? "val_loss" : "loss";
}

std::vector<std::pair<std::string, std::string>> option_texts(const RunConfig& config) {
  TrainOptions o;
  take_from_run(o, config);
  return texts_of(o);
}

std::string train_command(const RunConfig& config, const std::string& out) {
  const auto size = [](int64_t height, int64_t width) { return cat(height, "x", width); };
  std::string command = "fettle train --model " + config.model;
  TrainOptions usual;
  const auto usual_texts = texts_of(usual), own_texts = option_texts(config);
  for (size_t i = 0; i < own_texts.size(); ++i) {
    const auto& [name, text] = own_texts[i];
    if (text.empty() || text == usual_texts[i].second) continue;
    command += " --" + name;
    if (text != "yes") command += " " + quoted(text);
  }
  if (config.height > 0) command += " --image-size " + size(config.height, config.width);
  if (config.crop_height > 0) command += " --crop " + size(config.crop_height, config.crop_width);
  return command + cat(" --channels ", config.channels, " --seed ", config.seed, " --out ") +
         quoted(out);
}

RunConfig config_of(TrainOptions& o, const Data& data) {
  const ModelEntry& entry = model_entry(o.model);
  const bool cropped = o.crop.height > 0;
  const auto extent = [&](int64_t given, int64_t own) {
    return given > 0 ? given : cropped ? 0 : own;
  };
  RunConfig config{.model = o.model,
                   .height = extent(o.image_size.height, entry.height),
                   .width = extent(o.image_size.width, entry.width),
                   .channels = o.channels > 0 ? o.channels : entry.channels,
                   .crop_height = o.crop.height,
                   .crop_width = o.crop.width,
                   .class_names = data.names,
                   .multi_label = data.multi_label,
                   .seed = o.seed,
                   .options = {}};
  o.visit([&](const std::string& name, auto& value) { config.options[name] = option_text(value); });
  return config;
}

std::pair<Data, Data> read_data(const TrainOptions& o, Task task) {
  Data data = read_data(o.data, task, o.format, o.skip_broken);
  require(o.validation_labels.empty() || (data.multi_label && !o.validation_data.empty()),
          "--validation-labels needs --labels and --validation-data");
  if (!o.validation_data.empty()) {
    FormatOptions format = o.format;
    format.labels = o.validation_labels;
    if (data.multi_label) format.format = "labels";
    Data validation = read_data(o.validation_data, task, format, o.skip_broken, data.names);
    fit_names(validation, task, data.names, o.validation_data, o.data);
    return {std::move(data), std::move(validation)};
  }
  if (o.validation_split > 0) return split(data, task, o.validation_split, o.seed);
  return {std::move(data), Data{}};
}

}  // namespace fettle
