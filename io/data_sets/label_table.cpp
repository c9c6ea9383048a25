#include "io/data_sets/label_table.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "engine/counted.h"
#include "engine/error.h"
#include "io/csv.h"
#include "io/folder.h"
#include "io/picture.h"
#include "io/read_file.h"

namespace fettle {
namespace {

namespace fs = std::filesystem;

std::string trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") + 1 - begin);
}

/// The words of a text between separators, without the blanks around them and without empty ones.
std::vector<std::string> words_of(const std::string& text, const char* separators) {
  std::vector<std::string> words;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find_first_of(separators, at), text.size());
    const std::string word = trimmed(text.substr(at, end - at));
    if (!word.empty()) words.push_back(word);
    at = end + 1;
  }
  return words;
}

/// Turns the lines of a table into examples.
class Reader {
 public:
  Reader(const std::string& path, const std::string& folder, const LabelTableOptions& options)
      : folder_(folder), options_(options), lines_(read_csv(path)) {
    table_.path = path;
    require(lines_.size() > 1, "'", path,
            "' has no line below its header; write path,LABEL,LABEL,... and a line for each "
            "picture");
    header_ = lines_.front().fields;
    lines_.erase(lines_.begin());
    check_header();
    for (const CsvLine& line : lines_)
      require(line.fields.size() == header_.size(), where(line), ": has ",
              counted(std::ssize(line.fields), "field"), ", but the header ", header_.size());
  }

  LabelTable read() {
    if (table_.columns) {
      for (size_t i = 1; i < header_.size(); ++i) table_.label_names.push_back(header_[i]);
    } else {
      collect_names();
    }
    if (!options_.label_names.empty()) take_known_names();
    for (size_t k = 0; k < table_.label_names.size(); ++k) numbers_[table_.label_names[k]] = k;
    for (const CsvLine& line : lines_) add(line);
    require(!table_.examples.empty(), "'", table_.path, "' names no whole picture");
    note_unlisted();
    return std::move(table_);
  }

 private:
  /// The same for all ways to write the path of a picture.
  static std::string place_of(const std::string& picture) {
    return fs::absolute(picture).lexically_normal().string();
  }

  std::string where(const CsvLine& line) const {
    return cat("'", table_.path, "', line ", line.number);
  }

  void check_name(const std::string& name, const std::string& where) const {
    const bool plain =
        std::none_of(name.begin(), name.end(), [](unsigned char c) { return c < ' ' || c == ';'; });
    require(!name.empty() && plain, where, ": '", name,
            "' is no name for a label: it must not be empty, nor hold a ';' or a line break");
  }

  void check_header() {
    static const std::set<std::string> paths = {"path", "file", "filename", "image", "picture"};
    const std::string place = cat("'", table_.path, "', line 1");
    for (std::string& column : header_) column = trimmed(column);
    require(paths.contains(lower(header_[0])), place, ": the first column is '", header_[0],
            "', but must be the pictures': call it path");
    require(header_.size() > 1, place, ": there is no column of labels beside '", header_[0], "'");
    std::set<std::string> seen;
    bool names = false;
    for (size_t i = 1; i < header_.size(); ++i) {
      check_name(header_[i], place);
      require(seen.insert(header_[i]).second, place, ": two columns are called '", header_[i], "'");
      names = names || lower(header_[i]) == "labels";
    }
    table_.columns = !names;
    for (size_t i = 1; names && i < header_.size(); ++i)
      require(lower(header_[i]) == "labels", place, ": the column '", header_[i],
              "' is not known beside 'labels', which names all labels of a picture; remove it");
  }

  void collect_names() {
    for (const CsvLine& line : lines_)
      if (line.fields[1].find(';') != std::string::npos) separators_ = ";";
    std::set<std::string> names;
    for (const CsvLine& line : lines_) {
      for (const std::string& name : words_of(line.fields[1], separators_)) {
        check_name(name, where(line));
        names.insert(name);
      }
    }
    require(!names.empty() || !options_.label_names.empty(), "'", table_.path,
            "' names no label of any picture in the column 'labels'");
    table_.label_names.assign(names.begin(), names.end());
  }

  /// Refuses labels beside the known ones and, where each has a column, a lack of one.
  void take_known_names() {
    const std::vector<std::string>& known = options_.label_names;
    const auto require_in = [&](const std::vector<std::string>& names, const std::string& name,
                                const char* problem) {
      require(std::find(names.begin(), names.end(), name) != names.end(), "'", table_.path, "' ",
              problem, " '", name, "'");
    };
    for (const std::string& name : table_.label_names)
      require_in(known, name, "has a label that is not known to the run:");
    for (const std::string& name : known)
      if (table_.columns)
        require_in(table_.label_names, name, "lacks a column for the run's label");
    table_.label_names = known;
  }

  std::vector<uint8_t> labels_of(const CsvLine& line) const {
    std::vector<uint8_t> labels(numbers_.size());
    if (!table_.columns) {
      for (const std::string& name : words_of(line.fields[1], separators_))
        labels[numbers_.at(name)] = 1;
      return labels;
    }
    for (size_t i = 1; i < header_.size(); ++i) {
      const std::string value = trimmed(line.fields[i]);
      require(value == "0" || value == "1", where(line), ": '", header_[i], "' is '",
              line.fields[i], "'; write 1 where the picture has the label and 0 where not");
      labels[numbers_.at(header_[i])] = value == "1";
    }
    return labels;
  }

  void add(const CsvLine& line) {
    const std::string name = trimmed(line.fields[0]);
    require(!name.empty(), where(line), ": the picture has no name");
    const fs::path inside = fs::path(name).lexically_normal();
    require(inside.is_relative() && *inside.begin() != "..", where(line), ": '", name,
            "' is not under the folder of pictures; write the path as it is from '", folder_,
            "' on");
    const std::string picture = (fs::path(folder_) / inside).lexically_normal().string();
    const auto [first, is_new] = lines_of_.try_emplace(place_of(picture), line.number);
    require(is_new, where(line), ": the picture '", name, "' is already in line ", first->second,
            "; keep one of the two");
    const std::vector<uint8_t> labels = labels_of(line);
    require(fs::is_regular_file(picture), where(line), ": the picture '", name,
            "' was not found in '", folder_, "'; put it there, or remove the line");
    try {
      check_picture(picture, read_file(picture));
    } catch (const Error& error) {
      require(options_.skip_broken, error.what(),
              "; mend or remove it, or leave it out with --skip-broken");
      table_.notes.push_back(cat("left out: ", error.what()));
      return;
    }
    table_.examples.push_back({picture, 0, labels});
  }

  void note_unlisted() {
    int64_t unlisted = 0;
    for (const std::string& file : files_under(folder_))
      unlisted += is_named_like_a_picture(file) && !lines_of_.contains(place_of(file));
    if (unlisted > 0)
      table_.notes.push_back(
          cat(counted(unlisted, "picture"), " in ", folder_, " not in the table, left out"));
  }

  std::string folder_;
  LabelTableOptions options_;
  std::vector<CsvLine> lines_;  // without the header
  std::vector<std::string> header_;
  const char* separators_ = " \t";
  std::map<std::string, size_t> numbers_;    // of the labels
  std::map<std::string, int64_t> lines_of_;  // of the pictures
  LabelTable table_;
};

}  // namespace

LabelTable read_label_table(const std::string& path, const std::string& folder,
                            const LabelTableOptions& options) {
  check_folder(folder);
  return Reader(path, folder, options).read();
}

std::vector<int64_t> label_counts(const std::vector<Example>& examples) {
  std::vector<int64_t> counts(examples.empty() ? 0 : examples.front().labels.size());
  for (const Example& example : examples)
    for (size_t k = 0; k < counts.size(); ++k) counts[k] += example.labels[k];
  return counts;
}

std::string description(const LabelTable& table) {
  const auto none =
      std::count_if(table.examples.begin(), table.examples.end(), [](const Example& example) {
        return std::all_of(example.labels.begin(), example.labels.end(),
                           [](uint8_t label) { return label == 0; });
      });
  std::string text =
      cat(table.path, ": ", table.columns ? "a column for each label" : "names of labels", ", ",
          counted(std::ssize(table.examples), "picture"), ", ",
          counted(std::ssize(table.label_names), "label"), ", ", counted(none, "picture"),
          " with none\n");
  const std::vector<int64_t> counts = label_counts(table.examples);
  for (size_t k = 0; k < counts.size(); ++k)
    text += cat("  label ", table.label_names[k], ": ", counted(counts[k], "picture"), "\n");
  for (const std::string& note : table.notes) text += cat("  note: ", note, "\n");
  return text;
}

}  // namespace fettle
