#include "apps/resume.h"

#include <algorithm>
#include <filesystem>

#include "apps/option_use.h"
#include "engine/argument_error.h"
#include "io/csv.h"

namespace fettle {
namespace {

using Texts = std::map<std::string, std::string>;  // by the option's name without --

bool is_one_of(const std::string& name, std::initializer_list<const char*> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// What is the same from any folder.
std::string whole_path(const std::string& name, const std::string& text) {
  const bool path =
      is_one_of(name, {"data", "validation-data", "labels", "validation-labels", "weights"});
  return path && !text.empty() ? std::filesystem::absolute(text).lexically_normal().string() : text;
}

Texts texts_of(TrainOptions& o) {
  Texts texts;
  o.visit([&](const std::string& name, const auto& value) {
    texts[name] = whole_path(name, option_text(value));
  });
  return texts;
}

/// The options of config.json, held to the rules of a command line.
TrainOptions options_of(const RunConfig& config) {
  TrainOptions usual, o;
  std::vector<std::string> arguments = {"--out=" + config.file};
  for (const auto& [name, text] : texts_of(usual)) {
    const auto found = config.options.find(name);
    if (found != config.options.end() && !found->second.empty() && found->second != text)
      arguments.push_back(cat("--", name, "=", found->second));
  }
  CLI::App parser;
  add_train_options(parser, o);
  try {
    parser.parse(std::move(arguments));
  } catch (const CLI::ParseError& error) {
    throw Error("'", config.file, "': options: ", error.what());
  }
  // "" is a preprocessing, too: a model's own.
  const auto preprocess = config.options.find("preprocess");
  if (preprocess != config.options.end()) o.transfer.preprocess = preprocess->second;
  o.model = config.model;
  o.image_size = {config.height, config.width};
  o.crop = {config.crop_height, config.crop_width};
  o.channels = config.channels;
  o.seed = config.seed;
  o.format.kept = true;
  try {
    check_texts(o);
  } catch (const ArgumentError& error) {
    throw Error("'", config.file, "': options: ", error.what());
  }
  return o;
}

/// texts_of() and what config.json keeps beside the options.
Texts all_texts_of(TrainOptions& o) {
  Texts texts = texts_of(o);
  texts["model"] = o.model;
  texts["image-size"] = option_text(o.image_size);
  texts["crop"] = option_text(o.crop);
  texts["channels"] = std::to_string(o.channels);
  texts["seed"] = std::to_string(o.seed);
  return texts;
}

}  // namespace

std::string option_text(const std::string& value) {
  return value;
}
std::string option_text(double value) {
  return number_text(value);
}
std::string option_text(int64_t value) {
  return std::to_string(value);
}
std::string option_text(bool value) {
  return value ? "1" : "0";
}
std::string option_text(const std::optional<double>& value) {
  return value ? number_text(*value) : "";
}
std::string option_text(const ImageSize& size) {
  return cat(size.height, 'x', size.width);
}

void take_from_run(TrainOptions& o, const RunConfig& config) {
  TrainOptions run = options_of(config), usual;
  const Texts asked = all_texts_of(o), kept = all_texts_of(run), none = all_texts_of(usual);
  const auto given = [&](const char* name) { return o.given.contains(name); };
  for (const auto& [name, text] : kept) {
    const bool free = is_one_of(name, {"epochs", "data", "validation-data", "labels",
                                       "validation-labels", "cache", "skip-broken", "precision"});
    if (free || !o.given.contains(name) || asked.at(name) == text) continue;
    const bool without = text.empty() || (text == none.at(name) && is_one_of(text, {"0", "0x0"}));
    throw ArgumentError("--", name, " ", asked.at(name), ": the run was begun ",
                        without ? "without --" + name : "with " + text,
                        ", and goes on with its own options; leave it out, or begin another run "
                        "with another --out");
  }
  if (given("epochs")) run.epochs = o.epochs;
  if (given("data")) run.data = o.data;
  if (given("validation-data")) run.validation_data = o.validation_data;
  if (given("labels")) run.format.labels = o.format.labels;
  if (given("validation-labels")) run.validation_labels = o.validation_labels;
  if (given("precision")) run.compute.precision = o.compute.precision;
  run.cache |= o.cache;
  run.skip_broken |= o.skip_broken;
  run.out = o.out;
  run.resume = o.resume;
  run.compute.device = o.compute.device;
  run.conv_plans = o.conv_plans;
  run.cuda_graph = o.cuda_graph;
  run.given = o.given;
  run.data_checksum = config.data_checksum;
  run.of_run = true;
  o = std::move(run);
}

RunConfig config_of(TrainOptions& o, const Data& data) {
  const ModelEntry& entry = model_entry(o.model);
  const bool cropped = o.crop.height > 0;
  const auto extent = [&](int64_t given, int64_t own) {
    return given > 0 ? given : cropped ? 0 : own;
  };
  return {.model = o.model,
          .height = extent(o.image_size.height, entry.height),
          .width = extent(o.image_size.width, entry.width),
          .channels = o.channels > 0 ? o.channels : entry.channels,
          .crop_height = o.crop.height,
          .crop_width = o.crop.width,
          .class_names = data.names,
          .multi_label = data.multi_label,
          .seed = o.seed,
          .options = texts_of(o)};
}

}  // namespace fettle
