#include "apps/data.h"

#include <filesystem>
#include <iostream>
#include <map>

#include "apps/number_checks.h"
#include "engine/argument_error.h"
#include "engine/counted.h"
#include "io/data_sets/label_table.h"

namespace fettle {
namespace {

const std::map<std::string, MaskFormat> mask_formats = {{"severstal", MaskFormat::severstal},
                                                        {"via", MaskFormat::via},
                                                        {"mvtec", MaskFormat::mvtec},
                                                        {"pairs", MaskFormat::pairs}};
const std::map<std::string, Kinds> kind_names = {{"auto", Kinds::automatic},
                                                 {"one", Kinds::one},
                                                 {"folder", Kinds::folder},
                                                 {"value", Kinds::value}};

/// The format that the options name, or that `path` shows; nothing for class folders.
std::optional<MaskFormat> format_of(const std::string& path, const FormatOptions& options) {
  if (options.format == "class-folders") return {};
  if (options.format != "auto") return mask_formats.at(options.format);
  const auto [found, format] = mask_format_of(path);
  return found ? std::optional(format) : std::nullopt;
}

Data read_classes(const std::string& path, bool skip_broken) {
  ClassFolder folder = read_class_folder(path, skip_broken);
  for (const BrokenFile& broken : folder.broken) std::cerr << "Left out: " << broken.reason << "\n";
  if (!folder.others.empty()) {
    std::cerr << "Ignored what is no picture in " << path << ": "
              << counted(std::ssize(folder.others), "file") << ", for example " << folder.others[0]
              << "\n";
  }
  return {folder.class_names, folder.examples, {}};
}

/// Pictures with the labels of a table, which lies in their folder as labels.csv where it is not
/// named.
Data read_labels(const std::string& path, const FormatOptions& options, bool skip_broken,
                 const std::vector<std::string>& labels) {
  const std::string usual = (std::filesystem::path(path) / "labels.csv").string();
  require(!options.labels.empty() || std::filesystem::exists(usual),
          "there is no table of labels: ", "name it by --labels FILE, or put it into '", path,
          "' as labels.csv");
  const LabelTable table = read_label_table(options.labels.empty() ? usual : options.labels, path,
                                            {.label_names = labels, .skip_broken = skip_broken});
  std::cerr << description(table);
  return {table.label_names, table.examples, {}, true};
}

/// Throws ArgumentError for an option that does nothing to data of that format.
void check_use(const FormatOptions& o, const std::string& path, std::optional<MaskFormat> format) {
  const bool pairs = format == MaskFormat::pairs, folders = pairs || format == MaskFormat::mvtec;
  const auto require_use = [&](bool of_use, const std::string& option, const char* what) {
    require_argument(of_use || o.kept, "--", option, " is for ", what, ", and '", path,
                     "' is not read so; leave it out, or name another --format");
  };
  require_use(o.rle_origin == 1 || format == MaskFormat::severstal, "rle-origin 0", "run lengths");
  require_use(o.kinds == "auto" || format, "kinds " + o.kinds, "masks");
  require_use(o.kinds != "value" || pairs, "kinds value", "pairs of picture and mask");
  require_use(o.kinds != "folder" || folders, "kinds folder", "pairs of picture and mask");
}

}  // namespace

void add_format_options(CLI::App& command, FormatOptions& o) {
  command
      .add_option("--format", o.format,
                  "How the data are stored: auto, class-folders, labels (a table of several labels "
                  "a picture), severstal (a table of run lengths), via (polygons), mvtec, or pairs "
                  "(a mask beside each picture)")
      ->check(
          CLI::IsMember({"auto", "class-folders", "labels", "severstal", "via", "mvtec", "pairs"}))
      ->capture_default_str();
  command.add_option(
      "--labels", o.labels,
      "Table (.csv) of several labels a picture: path,NAME,NAME,... with 0 and 1, or "
      "path,labels with their names, separated by ';' or blanks; paths are those "
      "under the folder [labels.csv in the folder]");
  command
      .add_option("--kinds", o.kinds,
                  "What makes a kind of defect: auto (as the format says), one (all are one kind), "
                  "folder or value (of pairs: the first folder, or each number in the masks)")
      ->check(CLI::IsMember({"auto", "one", "folder", "value"}))
      ->capture_default_str();
  command
      .add_option("--rle-origin", o.rle_origin,
                  "Number of the first pixel in run lengths: 1 (Severstal's) or 0")
      ->check(whole_number(0, 1))
      ->capture_default_str();
}

Data read_data(const std::string& path, Task task, const FormatOptions& options, bool skip_broken,
               const std::vector<std::string>& labels) {
  std::error_code error;
  require(std::filesystem::exists(path, error), "the folder '", path, "' does not exist");
  const bool table = !options.labels.empty();
  require_argument(!table || options.format == "auto" || options.format == "labels", "--format ",
                   options.format, " has no use for --labels; leave one of them out");
  if (table || options.format == "labels") {
    require_argument(task == Task::classification,
                     "labels are for classifiers; a model that draws masks learns from masks");
    check_use(options, path, {});
    return read_labels(path, options, skip_broken, labels);
  }
  const std::optional<MaskFormat> format = format_of(path, options);
  check_use(options, path, format);
  if (!format) {
    require(task == Task::classification, "'", path,
            "' has no masks: a model that draws masks needs a table of run lengths (train.csv), "
            "annotations of VIA (.json), the layout of MVTec AD, or a mask beside each picture");
    return read_classes(path, skip_broken);
  }
  MaskData masks = read_mask_data(path, *format,
                                  {.kinds = kind_names.at(options.kinds),
                                   .run_length_origin = options.rle_origin,
                                   .skip_broken = skip_broken});
  std::cerr << description(masks);
  if (task == Task::segmentation) return {masks.kinds, {}, std::move(masks)};
  return {{"good", "defective"}, good_or_defective(masks), {}};
}

std::pair<Data, Data> split(const Data& data, Task task, double fraction, uint64_t seed) {
  const Data none = {data.names, {}, {}, data.multi_label};
  std::pair<Data, Data> parts = {none, none};
  if (task == Task::classification) {
    std::tie(parts.first.examples, parts.second.examples) = split(data.examples, fraction, seed);
  } else {
    std::tie(parts.first.masks, parts.second.masks) = split(data.masks, fraction, seed);
  }
  return parts;
}

void fit_names(Data& data, Task task, const std::vector<std::string>& names,
               const std::string& path, const std::string& other) {
  if (task == Task::segmentation) {
    renumber_kinds(data.masks, names);
    data.names = names;
  }
  require(data.multi_label || data.names == names, "the classes of '", path, "' are not those of '",
          other, "'; both need the same subfolders");
}

}  // namespace fettle
