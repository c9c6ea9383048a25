// The data sets of the command line: class folders, tables of labels and the formats with masks.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "io/data_sets/mask_data.h"
#include "models/model.h"

namespace fettle {

/// How a folder is to be read.
struct FormatOptions {
  std::string format = "auto", kinds = "auto";
  std::string labels;  ///< the table of several labels a picture
  int64_t rle_origin = 1;
  bool kept = false;  ///< in a run, where what does nothing may stay

  /// Calls f(name, value) for each of them.
  template <class F>
  void visit(const F& f) {
    f("format", format);
    f("labels", labels);
    f("kinds", kinds);
    f("rle-origin", rle_origin);
  }
};

/// --format, --labels, --kinds and --rle-origin.
void add_format_options(CLI::App& command, FormatOptions& options);

/// Pictures for one of the tasks.
struct Data {
  std::vector<std::string> names;  ///< of the classes or labels, or of the kinds of defects
  std::vector<Example> examples;   ///< for classification
  MaskData masks;                  ///< for segmentation
  bool multi_label = false;        ///< the examples have any of several labels each

  int64_t size(Task task) const {
    return task == Task::classification ? std::ssize(examples) : std::ssize(masks.pictures);
  }
};

/// Reads a folder for a task and says what was seen. A classifier learns "good" and "defective"
/// from a data set with masks. `labels` are those that a table of labels may have; empty: any.
/// Throws Error when a segmenter's folder has no masks, and whatever the readers throw.
Data read_data(const std::string& path, Task task, const FormatOptions& options, bool skip_broken,
               const std::vector<std::string>& labels = {});

/// The training and the validation part, by picture.
std::pair<Data, Data> split(const Data& data, Task task, double fraction, uint64_t seed);

/// Gives the classes or kinds of `data` the numbers that they have in `names`. Throws Error naming
/// both folders when that is impossible.
void fit_names(Data& data, Task task, const std::vector<std::string>& names,
               const std::string& path, const std::string& other);

}  // namespace fettle
