#include "apps/findings.h"

#include <charconv>
#include <filesystem>
#include <set>

#include "apps/table.h"
#include "io/csv.h"
#include "io/data_sets/class_folder.h"
#include "io/folder.h"
#include "io/overlay.h"

namespace fettle {
namespace {

namespace fs = std::filesystem;

std::string made(const std::string& folder) {
  make_folder(folder);
  return folder;
}

/// The kinds' numbers in masks.csv: their names where all of these are numbers, as in Severstal's
/// tables, which may lack one; else 1, 2, ...
std::vector<int64_t> numbers_of(const std::vector<std::string>& kinds) {
  std::vector<int64_t> named, counted;
  for (const std::string& kind : kinds) {
    int64_t number = 0;
    const auto [end, error] = std::from_chars(kind.data(), kind.data() + kind.size(), number);
    if (error == std::errc() && end == kind.data() + kind.size() && number > 0)
      named.push_back(number);
    counted.push_back(std::ssize(counted) + 1);
  }
  return named.size() == kinds.size() ? named : counted;
}

}  // namespace

std::vector<NamedPicture> named_pictures(const std::vector<std::string>& given,
                                         const std::string& out) {
  std::vector<NamedPicture> pictures;
  std::set<std::string> names;
  const auto is_drawn = [&](const std::string& path) {
    const fs::path base = out;
    return lies_in(path, (base / overlays_folder).string()) ||
           lies_in(path, (base / explanations_folder).string());
  };
  for (const std::string& one : given) {
    const bool folder = fs::is_directory(one);
    for (const std::string& path : list_pictures(one)) {
      if (folder && is_drawn(path)) continue;
      const std::string name =
          folder ? fs::relative(path, one).string() : fs::path(path).filename().string();
      require(names.insert(name).second, "two of the pictures are called '", name,
              "'; give their common folder instead");
      pictures.push_back({path, name});
    }
  }
  require(!pictures.empty(), "there is no picture but those that an earlier call has drawn in '",
          out, "'; give the folder of the pictures");
  return pictures;
}

Findings::Findings(const std::string& folder, std::vector<std::string> kinds, double threshold,
                   int64_t min_area)
    : folder_(made(folder)),
      kinds_(std::move(kinds)),
      numbers_(numbers_of(kinds_)),
      threshold_(threshold),
      min_area_(min_area),
      masks_((fs::path(folder) / "masks.csv").string()),
      regions_((fs::path(folder) / "regions.csv").string()) {
  regions_.write(csv_line({"path", "kind", "area", "confidence", "x", "y", "width", "height"}));
}

std::string Findings::overlay(const NamedPicture& picture) const {
  return (fs::path(folder_) / overlays_folder / (picture.name + ".png")).string();
}

std::vector<FoundKind> Findings::add(const NamedPicture& picture, const Segmentation& s,
                                     const std::string& title) {
  std::vector<Mask> masks = s.masks(threshold_);
  std::vector<FoundKind> found;
  std::vector<OverlayKind> shown;
  for (size_t k = 0; k < kinds_.size(); ++k) {
    remove_small_regions(masks[k], min_area_);
    masks_.add(picture.name, numbers_[k], masks[k]);
    FoundKind finding{kinds_[k], 0, 0,
                      regions_of(masks[k], s.probabilities.data() + k, std::ssize(kinds_))};
    double sum = 0;
    for (const Region& r : finding.regions) {
      finding.area += r.area;
      sum += r.confidence * static_cast<double>(r.area);
      regions_.write(csv_line({picture.path, finding.kind, std::to_string(r.area),
                               fixed(r.confidence, 4), std::to_string(r.x), std::to_string(r.y),
                               std::to_string(r.width), std::to_string(r.height)}));
    }
    std::string note;
    if (finding.area > 0) {
      finding.confidence = sum / static_cast<double>(finding.area);
      note = cat("area ", with_commas(finding.area), " px, ", fixed(finding.confidence, 2));
      found.push_back(finding);
    }
    shown.push_back({kinds_[k], std::move(masks[k]), note});
  }
  const std::string file = overlay(picture);
  make_folder(fs::path(file).parent_path().string());
  finish_overlay();
  overlays_.insert(file);
  writing_ =
      std::async(std::launch::async, [file, title, picture = s.picture, kinds = std::move(shown)] {
        write_png(file, draw_overlay(picture, kinds, title));
      });
  return found;
}

void Findings::add_good(const NamedPicture& picture) {
  for (const int64_t number : numbers_) masks_.add(picture.name, number, Mask());
}

void Findings::finish_overlay() {
  if (writing_.valid()) writing_.get();
}

void Findings::finish() {
  finish_overlay();
  remove_other_pngs(fs::path(folder_) / overlays_folder, overlays_);
  masks_.finish();
  regions_.commit();
}

}  // namespace fettle
