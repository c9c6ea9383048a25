#include "apps/training_data.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <span>

#include "engine/argument_error.h"
#include "io/checksum.h"

namespace fettle {
namespace {

namespace fs = std::filesystem;

fs::path whole(const std::string& path) {
  return fs::absolute(path).lexically_normal();
}

/// A line a picture: what it is for, where it lies under the folder, and its labels.
void add_lines(const Data& data, const std::string& part, const std::string& folder,
               std::vector<std::string>& lines) {
  const fs::path root = whole(folder);
  const auto add = [&](const std::string& path, const auto& labels) {
    std::string line = cat(part, '\t', whole(path).lexically_relative(root).string());
    for (const auto label : labels) line += cat('\t', +label);
    lines.push_back(line + '\n');
  };
  for (const Example& example : data.examples) {
    if (data.multi_label) {
      add(example.path, example.labels);
    } else {
      add(example.path, std::initializer_list<int32_t>{example.label});
    }
  }
  for (const MaskedPicture& picture : data.masks.pictures) add(picture.path, picture.pixels);
}

/// A run may have been begun where its folder of pictures was called otherwise.
void require_there(const TrainOptions& o, const char* option, const std::string& path) {
  std::error_code error;
  require(!o.of_run || o.given.contains(option) || path.empty() || fs::exists(path, error),
          "the run was trained on '", path, "' (its --", option,
          "), and there is no such folder; put it back, or say by --data where pictures are");
}

}  // namespace

std::string checksum_of(const TrainOptions& o, const Data& training, const Data& validation) {
  std::vector<std::string> lines;
  add_lines(training, "train", o.data, lines);
  add_lines(validation, "validate", o.validation_data.empty() ? o.data : o.validation_data, lines);
  std::sort(lines.begin(), lines.end());
  std::string text;
  for (const std::string& line : lines) text += line;
  const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  char digits[9];
  std::snprintf(digits, sizeof digits, "%08x", static_cast<unsigned>(crc32({bytes, text.size()})));
  return digits;
}

std::pair<Data, Data> read_data(const TrainOptions& o, Task task) {
  require_there(o, "data", o.data);
  require_there(o, "validation-data", o.validation_data);
  std::pair<Data, Data> parts;
  auto& [data, validation] = parts;
  data = read_data(o.data, task, o.format, o.skip_broken);
  require_argument(o.validation_labels.empty() || (data.multi_label && !o.validation_data.empty()),
                   "--validation-labels needs --labels and --validation-data");
  if (!o.validation_data.empty()) {
    FormatOptions format = o.format;
    format.labels = o.validation_labels;
    if (data.multi_label) format.format = "labels";
    validation = read_data(o.validation_data, task, format, o.skip_broken, data.names);
    fit_names(validation, task, data.names, o.validation_data, o.data);
  } else if (o.validation_split > 0) {
    parts = split(data, task, o.validation_split, o.seed);
  }
  require(o.data_checksum.empty() || checksum_of(o, data, validation) == o.data_checksum,
          "the pictures in '", o.data,
          "' are no longer those of the run: some came, went, or have other labels, and pictures "
          "that it learned from would validate it; make them as they were, or begin another run "
          "with another --out");
  return parts;
}

}  // namespace fettle
