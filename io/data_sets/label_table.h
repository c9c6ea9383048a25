// Data sets in which a table says which of several labels each picture has.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "io/data_sets/class_folder.h"

namespace fettle {

struct LabelTable {
  std::string path;                      ///< of the table
  std::vector<std::string> label_names;  ///< in the order of the columns, or of their bytes
  bool columns = true;                   ///< a column a label; else their names in one column
  std::vector<Example> examples;         ///< in the table's order, each with `labels`
  std::vector<std::string> notes;        ///< what a user should know of what was left out
};

struct LabelTableOptions {
  /// The labels that may occur, which give them their order; empty: those of the table.
  std::vector<std::string> label_names = {};
  bool skip_broken = false;  ///< leave out pictures that cannot be read, with a note
};

/// Reads a table (.csv) about pictures in `folder` in one of two forms, told apart by the header:
///   path,NAME,NAME,...   1 where the picture has the label, 0 where not
///   path,labels          the names of its labels, separated by ';' if there is one in the column,
///                        else by blanks; empty for none
/// The first column may also be called file, filename, image or picture; capitals do not matter.
/// Paths are those under the folder. Throws Error naming the table, and the line, for whatever is
/// wrong: a path that leaves the folder, a picture that is not there or is named twice, a value
/// that is not 0 or 1, a column or label that is not known, no lines; and for a picture that cannot
/// be decoded.
LabelTable read_label_table(const std::string& path, const std::string& folder,
                            const LabelTableOptions& options = {});

/// The pictures that have each label.
std::vector<int64_t> label_counts(const std::vector<Example>& examples);

/// What was seen, for people: pictures, those without a label, and the pictures of each label.
std::string description(const LabelTable& table);

}  // namespace fettle
