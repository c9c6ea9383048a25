// Data sets of pictures in class folders, with the rules of Keras's image_dataset_from_directory.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace fettle {

/// A picture file and the number of its class or, where it may have several labels, which.
struct Example {
  std::string path;
  int32_t label = 0;
  std::vector<uint8_t> labels = {};  ///< 0 or 1 for each; empty: the class says it all
};

/// A file that should be a picture and is not, and the sentence that says why.
struct BrokenFile {
  std::string path, reason;
};

struct ClassFolder {
  std::string path;
  std::vector<std::string> class_names;
  std::vector<Example> examples;    ///< in Keras's order: by class, folder, file name
  std::vector<BrokenFile> broken;   ///< left out of `examples`
  std::vector<std::string> others;  ///< files that neither are pictures nor are called so
};

/// Reads `path`/<class>/.../<picture>.
///
/// The classes are the subfolders in the order of their names' bytes, which number them from 0; in
/// each, folders are walked to any depth, ordered by their paths, and files by their names, as
/// Keras does. Hidden files and folders are ignored. What counts as a picture is decided by
/// content; every file is read once and checked as by check_picture(). A file that fails although
/// it looks like a picture or its extension says so is broken; what else there is goes to `others`.
/// Throws Error naming the folder when it is missing, has fewer than two classes or a class
/// without a picture, and, unless `skip_broken`, the first of the broken files.
ClassFolder read_class_folder(const std::string& path, bool skip_broken = false);

/// The pictures that `path` is or holds at any depth, ordered as above, decided by content.
/// Throws Error when `path` is missing, or is a folder without a picture.
std::vector<std::string> list_pictures(const std::string& path);

/// 0 ... count-1 in the order that numpy.random.RandomState(seed).shuffle gives: Fisher and Yates
/// from the end, each draw from MT19937 cut to as many bits as it needs and repeated while too
/// large. Throws Error when the seed is larger than 2^32 - 1, as numpy does.
std::vector<int64_t> numpy_shuffle(int64_t count, uint64_t seed);

/// The training and the validation part of 0 ... count-1 by Keras's `validation_split`: shuffled by
/// numpy_shuffle(), the last int(fraction * count) validate. Throws Error when either would be
/// empty.
std::pair<std::vector<int64_t>, std::vector<int64_t>> split_order(int64_t count, double fraction,
                                                                  uint64_t seed);

/// The training and the validation examples by split_order().
std::pair<std::vector<Example>, std::vector<Example>> split(const std::vector<Example>& examples,
                                                            double fraction, uint64_t seed);

}  // namespace fettle
