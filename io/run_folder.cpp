#include "io/run_folder.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>
#include <tuple>

#include "engine/error.h"
#include "io/atomic_file.h"
#include "io/csv.h"
#include "io/read_file.h"

namespace fettle {
namespace {

/// Reads the entries of a config.json, which people edit, too.
class ConfigReader {
 public:
  explicit ConfigReader(const std::string& path) : path_(path) {
    const std::vector<uint8_t> text = read_file(path);
    json_ = Json::parse(text, nullptr, false);
    require(!json_.is_discarded() && json_.is_object(), "'", path,
            "' is not the configuration of a run: it is no whole JSON object");
  }

  bool has(const char* key) const { return json_.contains(key); }

  std::string text(const char* key) const {
    const Json& value = at(key);
    check(value.is_string(), key, value, "must be a text");
    return value;
  }

  bool yes_or_no(const char* key) const {
    const Json& value = at(key);
    check(value.is_boolean(), key, value, "must be true or false");
    return value;
  }

  int64_t whole(const char* key, int64_t least, int64_t most) const {
    return whole(key, at(key), least, most);
  }

  std::pair<int64_t, int64_t> size(const char* key) const {
    constexpr int64_t most = int64_t{1} << 30;
    const Json& value = at(key);
    check(value.is_array() && value.size() == 2, key, value, "must be [height, width]");
    return {whole(key, value[0], 0, most), whole(key, value[1], 0, most)};
  }

  uint64_t seed(const char* key) const {
    const Json& value = at(key);
    check(value.is_number_unsigned(), key, value, "must be a whole number from 0 on");
    return value;
  }

  double number(const char* key, bool (*fits)(double), const char* must) const {
    const Json& value = at(key);
    check(value.is_number() && fits(value), key, value, must);
    return value;
  }

  std::vector<std::string> names(const char* key) const {
    const Json& value = at(key);
    std::vector<std::string> names;
    std::set<std::string> seen;
    check(value.is_array(), key, value, "must be a list of names");
    for (const Json& name : value) {
      check(name.is_string(), key, name, "must be a list of names");
      check(seen.insert(name).second, key, name, "is there twice; every name must be another");
      names.push_back(name);
    }
    return names;
  }

  std::map<std::string, std::string> texts(const char* key) const {
    const Json& value = at(key);
    std::map<std::string, std::string> texts;
    check(value.is_object(), key, value, "must be an object of texts");
    for (const auto& [name, text] : value.items()) {
      check(text.is_string(), cat(key, '.', name), text, "must be a text, in quotes");
      texts[name] = text;
    }
    return texts;
  }

 private:
  using Json = nlohmann::json;

  const Json& at(const char* key) const {
    require(has(key), "'", path_, "' lacks ", key, ", which a run cannot be without");
    return json_[key];
  }

  void check(bool right, const std::string& key, const Json& value, const char* must) const {
    require(right, "'", path_, "': ", key, ": ", value.dump(), " ", must);
  }

  int64_t whole(const char* key, const Json& value, int64_t least, int64_t most) const {
    const bool right = value.is_number_integer() && value >= least && value <= most;
    require(right, "'", path_, "': ", key, ": ", value.dump(), " must be a whole number from ",
            least, " to ", most);
    return value;
  }

  std::string path_;
  Json json_;
};

bool is_plain(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) ||
         std::string_view("/._-+:@%,").find(c) != std::string_view::npos;
}

}  // namespace

std::string quoted_for_shell(const std::string& text) {
  if (!text.empty() && std::all_of(text.begin(), text.end(), is_plain)) return text;
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

std::vector<std::string> RunFolder::figures() const {
  std::vector<std::string> files;
  for (const char* name :
       {"metrics.json", "pictures.csv", "roc_curve.csv", "roc_curve.svg",
        "precision_recall_curve.csv", "precision_recall_curve.svg", "report.html"})
    files.push_back(path_ + "/" + name);
  return files;
}

std::string RunFolder::resume_command() const {
  return "fettle train --resume --out " + quoted_for_shell(path_);
}

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
      {"data_checksum", config.data_checksum},
  };
  write_file(run.config(), json.dump(2) + "\n");
}

RunConfig read_config(const RunFolder& run) {
  require(std::filesystem::is_directory(run.path()), "the run folder '", run.path(),
          "' does not exist: give the folder that fettle train wrote with --out");
  require(std::filesystem::exists(run.config()), "'", run.path(),
          "' is no run folder of fettle, for it holds no config.json: give the folder that fettle "
          "train wrote with --out");
  const ConfigReader json(run.config());
  RunConfig config;
  config.file = run.config();
  config.model = json.text("model");
  std::tie(config.height, config.width) = json.size("image_size");
  if (json.has("crop")) std::tie(config.crop_height, config.crop_width) = json.size("crop");
  config.channels = json.whole("channels", 1, 3);
  config.class_names = json.names("classes");
  if (json.has("multi_label")) config.multi_label = json.yes_or_no("multi_label");
  config.threshold = json.number(
      "threshold", [](double value) { return value >= 0 && value <= 1; },
      "must be a number from 0 to 1");
  if (json.has("threshold_goal")) config.threshold_goal = json.text("threshold_goal");
  const std::string& goal = config.threshold_goal;
  require(goal.empty() || goal == "f1" || goal.starts_with("recall="), "'", run.config(),
          "': threshold_goal: \"", goal, "\" must be f1, recall=R or empty");
  if (json.has("temperature"))  // runs of before it was fitted
    config.temperature = json.number(
        "temperature", [](double value) { return value > 0; }, "must be a number above 0");
  config.seed = json.seed("seed");
  config.options = json.texts("options");
  if (json.has("data_checksum")) config.data_checksum = json.text("data_checksum");
  // Runs of before the checksum say 0 where batch-norm has the model's own momentum.
  const auto momentum = config.options.find("bn-momentum");
  if (config.data_checksum.empty() && momentum != config.options.end() && momentum->second == "0")
    config.options.erase(momentum);
  return config;
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
