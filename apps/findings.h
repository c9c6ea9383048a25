// What was found in pictures, written for people and for machines.
#pragma once

#include <filesystem>
#include <future>
#include <set>
#include <string>
#include <vector>

#include "apps/segmenter.h"
#include "io/regions.h"
#include "io/run_length_csv.h"

namespace fettle {

/// A picture and what to call it: its path under the folder that was given, or its file name.
struct NamedPicture {
  std::string path, name;
};

/// Where under its --out a command draws pictures.
inline constexpr const char *overlays_folder = "overlays", *explanations_folder = "explanations";

/// The pictures that the arguments of a command are or hold, but for those that it has drawn itself
/// under `out`. Throws Error for a path that is not there, a folder without pictures, and two
/// pictures of one name.
std::vector<NamedPicture> named_pictures(const std::vector<std::string>& given,
                                         const std::string& out);

/// One kind of defect in one picture.
struct FoundKind {
  std::string kind;
  int64_t area = 0;             ///< pixels
  double confidence = 0;        ///< mean probability of these pixels
  std::vector<Region> regions;  ///< the largest first
};

/// Writes a folder:
///   masks.csv     run lengths of each picture and kind, as Severstal's scorer reads them; kinds
///                 whose names are numbers keep them, others are numbered from 1
///   regions.csv   path, kind, area, confidence and bounding box of each connected region
///   overlays/     the pictures with masks, contours and a legend, as PNG, and no others
class Findings {
 public:
  /// `min_area`: smaller regions count as noise and are cleared.
  Findings(const std::string& folder, std::vector<std::string> kinds, double threshold,
           int64_t min_area);

  /// Adds a picture; returns the kinds that were found. `title` stands under the overlay, which is
  /// written while the next picture is looked at: what goes wrong there is thrown by the next add()
  /// or by finish().
  std::vector<FoundKind> add(const NamedPicture& picture, const Segmentation& segmentation,
                             const std::string& title);
  /// A picture in which nothing was looked for.
  void add_good(const NamedPicture& picture);
  /// Ends the tables, once all overlays are there and those of earlier calls are not.
  void finish();

  /// Where the overlay of a picture is written.
  std::string overlay(const NamedPicture& picture) const;

 private:
  void finish_overlay();

  std::string folder_;
  std::vector<std::string> kinds_;
  std::vector<int64_t> numbers_;  // of the kinds, in masks.csv
  double threshold_;
  int64_t min_area_;
  RunLengthCsv masks_;
  AtomicFile regions_;
  std::set<std::filesystem::path> overlays_;
  std::future<void> writing_;  // the overlay of the picture before
};

}  // namespace fettle
