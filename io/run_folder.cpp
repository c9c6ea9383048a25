#include "io/run_folder.h"

#include <charconv>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "engine/error.h"
#include "io/atomic_file.h"
#include "io/csv.h"
#include "io/read_file.h"

namespace fettle {

void RunFolder::create() const {
  make_folder(std::filesystem::path(checkpoint()).parent_path().string());
}

void write_config(const RunFolder& run, const RunConfig& config) {
  const nlohmann::ordered_json json = {
      {"model", config.model},
      {"image_size", {config.height, config.width}},
      {"crop", {config.crop_height, config.crop_width}},
      {"channels", config.channels},
      {"classes", config.class_names},
      {"multi_label", config.multi_label},
      {"threshold", config.threshold},
      {"threshold_goal", config.threshold_goal},
      {"temperature", config.temperature},
      {"seed", config.seed},
      {"options", config.options},
  };
  write_file(run.config(), json.dump(2) + "\n");
}

RunConfig read_config(const RunFolder& run) {
  require(std::filesystem::is_directory(run.path()), "the run folder '", run.path(),
          "' does not exist: give the folder that fettle train wrote with --out");
  const std::vector<uint8_t> text = read_file(run.config());
  try {
    const auto json = nlohmann::json::parse(text);
    RunConfig config;
    json.at("model").get_to(config.model);
    json.at("image_size").at(0).get_to(config.height);
    json.at("image_size").at(1).get_to(config.width);
    if (json.contains("crop")) {
      json["crop"].at(0).get_to(config.crop_height);
      json["crop"].at(1).get_to(config.crop_width);
    }
    config.threshold = json.value("threshold", config.threshold);
    config.threshold_goal = json.value("threshold_goal", config.threshold_goal);
    config.temperature = json.value("temperature", config.temperature);
    require(config.temperature > 0, "'", run.config(), "' has a temperature of ",
            config.temperature, "; it must be above 0");
    json.at("channels").get_to(config.channels);
    json.at("classes").get_to(config.class_names);
    config.multi_label = json.value("multi_label", false);
    json.at("seed").get_to(config.seed);
    json.at("options").get_to(config.options);
    return config;
  } catch (const nlohmann::json::exception& error) {
    throw Error("'", run.config(), "' is not the configuration of a run: ", error.what());
  }
}

void write_history(const std::string& path, const std::vector<EpochLog>& epochs) {
  std::vector<std::string> header = {"epoch"};
  if (!epochs.empty())
    for (const auto& [name, value] : epochs.front()) header.push_back(name);
  std::string text = csv_line(header);
  for (size_t epoch = 0; epoch < epochs.size(); ++epoch) {
    std::vector<std::string> line = {std::to_string(epoch + 1)};
    for (const auto& [name, value] : epochs[epoch]) line.push_back(number_text(value));
    text += csv_line(line);
  }
  write_file(path, text);
}

std::vector<EpochLog> read_history(const std::string& path) {
  const std::vector<CsvLine> lines = read_csv(path);
  require(!lines.empty() && lines[0].fields[0] == "epoch", "'", path,
          "' is not the history of a run: its first column must be called epoch");
  std::vector<EpochLog> epochs;
  for (size_t i = 1; i < lines.size(); ++i) {
    const auto& [number, fields] = lines[i];
    require(fields.size() == lines[0].fields.size(), "'", path, "', line ", number, " has ",
            fields.size(), " columns instead of ", lines[0].fields.size());
    EpochLog epoch;
    for (size_t k = 1; k < fields.size(); ++k) {
      double value = 0;
      const char* end = fields[k].data() + fields[k].size();
      const auto [read_to, error] = std::from_chars(fields[k].data(), end, value);
      require(error == std::errc() && read_to == end, "'", path, "', line ", number, ": '",
              fields[k], "' is no number");
      epoch.emplace_back(lines[0].fields[k], value);
    }
    epochs.push_back(std::move(epoch));
  }
  return epochs;
}

void write_predictions(const std::string& path, const std::vector<std::string>& class_names,
                       const std::vector<Prediction>& predictions, const std::string& column) {
  std::vector<std::string> header = {"path", column};
  header.insert(header.end(), class_names.begin(), class_names.end());
  std::string text = csv_line(header);
  for (const Prediction& prediction : predictions) {
    std::vector<std::string> line = {prediction.path, prediction.class_name};
    for (float probability : prediction.probabilities) line.push_back(number_text(probability));
    text += csv_line(line);
  }
  write_file(path, text);
}

}  // namespace fettle
