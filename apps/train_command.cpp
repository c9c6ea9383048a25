#include "apps/train_command.h"

#include <optional>

#include "apps/resume.h"
#include "io/csv.h"

namespace fettle {
namespace {

std::string text_of(const std::string& value) {
  return value;
}
std::string text_of(bool value) {
  return value ? "yes" : "no";
}
std::string text_of(int64_t value) {
  return std::to_string(value);
}
std::string text_of(double value) {
  return number_text(value);
}
std::string text_of(const std::optional<double>& value) {
  return value ? number_text(*value) : "";
}

std::vector<std::pair<std::string, std::string>> texts_of(TrainOptions& o) {
  std::vector<std::pair<std::string, std::string>> texts;
  o.visit([&](const std::string& name, const auto& value) {
    texts.emplace_back(name, text_of(value));
  });
  return texts;
}

}  // namespace

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
    if (text != "yes") command += " " + quoted_for_shell(text);
  }
  if (config.height > 0) command += " --image-size " + size(config.height, config.width);
  if (config.crop_height > 0) command += " --crop " + size(config.crop_height, config.crop_width);
  return command + cat(" --channels ", config.channels, " --seed ", config.seed, " --out ") +
         quoted_for_shell(out);
}

}  // namespace fettle
