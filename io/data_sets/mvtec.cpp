// MVTec AD: train/good, test/<kind> and ground_truth/<kind>/<picture>_mask.png.
// Bergmann et al.: "MVTec AD", CVPR 2019.
#include <map>

#include "engine/counted.h"
#include "engine/error.h"
#include "io/data_sets/mask_readers.h"
#include "io/folder.h"

namespace fettle {
namespace {

namespace fs = std::filesystem;

/// The pictures right in a folder, by name without extension.
std::map<std::string, std::string> pictures_by_stem(const fs::path& folder) {
  std::map<std::string, std::string> pictures;
  if (!fs::is_directory(folder)) return pictures;
  for (const fs::path& file : sorted_entries(folder, false))
    if (is_named_like_a_picture(file.string())) pictures[file.stem().string()] = file.string();
  return pictures;
}

}  // namespace

bool is_mvtec(const std::string& path) {
  const fs::path folder(path);
  return fs::is_directory(folder / "ground_truth") && fs::is_directory(folder / "test") &&
         !sorted_entries(folder / "ground_truth", true).empty();
}

MaskData list_mvtec(const std::string& path, const MaskDataOptions&) {
  check_folder(path);
  require(is_mvtec(path), "'", path,
          "' lacks the folders test/ and ground_truth/<kind>/ of MVTec AD");
  const fs::path folder(path);
  MaskData data;
  for (const fs::path& good :
       {folder / "train" / "good", folder / "good", folder / "test" / "good"})
    for (const auto& [stem, picture] : pictures_by_stem(good))
      data.pictures.push_back({picture, {}});
  int64_t without_mask = 0;
  for (const fs::path& truth : sorted_entries(folder / "ground_truth", true)) {
    const std::string kind = truth.filename().string();
    const auto number = static_cast<int32_t>(data.kinds.size());
    data.kinds.push_back(kind);
    std::map<std::string, std::string> masks = pictures_by_stem(truth);
    for (const auto& [stem, picture] : pictures_by_stem(folder / "test" / kind)) {
      auto mask = masks.find(stem + "_mask");
      if (mask == masks.end()) mask = masks.find(stem);
      if (mask == masks.end()) {
        ++without_mask;
        continue;
      }
      data.pictures.push_back({picture, {MaskOfFile{number, mask->second}}});
      masks.erase(mask);
    }
    require(masks.empty(), "the mask '", masks.empty() ? "" : masks.begin()->second,
            "' has no picture in '", (folder / "test" / kind).string(), "'");
  }
  if (without_mask > 0)
    data.notes.push_back(
        cat(counted(without_mask, "picture"), " of defects without a mask, left out"));
  return data;
}

}  // namespace fettle
