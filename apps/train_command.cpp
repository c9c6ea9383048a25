#include "apps/train_command.h"

#include <type_traits>

#include "apps/resume.h"

namespace fettle {
namespace {

std::vector<std::pair<std::string, std::string>> texts_of(TrainOptions& o) {
  std::vector<std::pair<std::string, std::string>> texts;
  o.visit([&](const std::string& name, const auto& value) {
    if constexpr (std::is_same_v<std::decay_t<decltype(value)>, bool>) {
      texts.emplace_back(name, value ? "yes" : "no");
    } else {
      texts.emplace_back(name, option_text(value));
    }
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
  std::string command = "fettle train --model " + config.model;
  TrainOptions usual;
  const auto usual_texts = texts_of(usual), own_texts = option_texts(config);
  for (size_t i = 0; i < own_texts.size(); ++i) {
    const auto& [name, text] = own_texts[i];
    if (text.empty() || text == usual_texts[i].second) continue;
    command += " --" + name;
    if (text != "yes") command += " " + quoted_for_shell(text);
  }
  if (config.height > 0)
    command += " --image-size " + option_text(ImageSize{config.height, config.width});
  if (config.crop_height > 0)
    command += " --crop " + option_text(ImageSize{config.crop_height, config.crop_width});
  return command + cat(" --channels ", config.channels, " --seed ", config.seed, " --out ") +
         quoted_for_shell(out);
}

}  // namespace fettle
