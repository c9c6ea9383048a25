// Pictures with a mask beside each: in parallel folders, with a suffix, or of another format.
#include <algorithm>
#include <map>
#include <string_view>

#include "engine/counted.h"
#include "engine/error.h"
#include "io/data_sets/mask_readers.h"
#include "io/folder.h"

namespace fettle {
namespace {

namespace fs = std::filesystem;

bool is_one_of(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_mask_folder(const std::string& name) {
  return is_one_of(lower(name), {"mask", "masks", "label", "labels", "annotation", "annotations",
                                 "gt", "ground_truth", "groundtruth", "segmentation",
                                 "segmentationclass", "train_masks", "targets"});
}

bool is_picture_folder(const std::string& name) {
  return is_one_of(lower(name), {"image", "images", "img", "imgs", "picture", "pictures", "photos",
                                 "jpegimages", "train_images", "train", "input", "inputs"});
}

/// A file under the data set's folder.
struct Entry {
  std::string path, folder;  ///< folder under the data set's, for kinds
  bool sure_mask = false;    ///< by its folder or its name
  bool lossless = false;
};

/// Cuts the ending off that says "mask", if there is one.
bool cut_suffix(std::string& stem) {
  for (const std::string_view suffix :
       {"_mask", "-mask", "_label", "-label", "_gt", "_seg", "_segmentation", "_groundtruth"}) {
    if (lower(stem).ends_with(suffix) && stem.size() > suffix.size()) {
      stem.resize(stem.size() - suffix.size());
      return true;
    }
  }
  return false;
}

/// Files that belong together: one folder, save for a part that says images or masks, and one name,
/// save for the extension and a suffix that says mask.
using Groups = std::map<std::string, std::vector<Entry>>;

Groups groups_of(const std::string& path) {
  Groups groups;
  for (const std::string& file : files_under(path)) {
    if (!is_named_like_a_picture(file)) continue;
    const fs::path relative = fs::relative(file, path);
    Entry entry{.path = file, .folder = {}};
    fs::path key;
    for (const fs::path& part : relative.parent_path()) {
      if (is_mask_folder(part.string())) {
        entry.sure_mask = true;
      } else if (!is_picture_folder(part.string())) {
        if (entry.folder.empty()) entry.folder = part.string();
        key /= part;
      }
    }
    std::string stem = relative.stem().string();
    entry.sure_mask |= cut_suffix(stem);
    entry.lossless = is_one_of(lower(relative.extension().string()), {".png", ".bmp", ".gif"});
    groups[(key / stem).string()].push_back(std::move(entry));
  }
  return groups;
}

struct Pair {
  Entry picture;
  std::optional<Entry> mask;
};

/// Where annotations of VIA lie if one looks a folder too high.
std::string via_hint(const std::string& path) {
  for (const fs::path& folder : sorted_entries(path, true))
    if (find_via_file(folder.string()))
      return cat("; if you mean the annotations of VIA in '", folder.string(),
                 "', give that folder");
  return {};
}

/// Picture and mask of a group of the folder `path`. A mask is what is called so or, beside a JPEG,
/// what is none.
Pair pair_of(const std::string& path, const std::string& name, std::vector<Entry> group) {
  std::stable_partition(group.begin(), group.end(), [](const Entry& e) { return !e.sure_mask; });
  if (group.size() == 2 && !group[1].sure_mask && group[0].lossless != group[1].lossless) {
    if (group[0].lossless) std::swap(group[0], group[1]);
    group[1].sure_mask = true;
  }
  require(!group[0].sure_mask, "the mask '", group[0].path, "' has no picture");
  if (group.size() > 2 || (group.size() == 2 && !group[1].sure_mask)) {
    throw Error("'", path, "' was read as pairs of picture and mask (--format pairs), in which '",
                name, "' has ", group.size(), " files that may belong together, such as '",
                group[0].path, "' and '", group[1].path,
                "'; there must be one picture and one mask, or else name another --format",
                via_hint(path));
  }
  Pair pair{group[0], {}};
  if (group.size() == 2) pair.mask = group[1];
  return pair;
}

}  // namespace

bool has_mask_pairs(const std::string& path) {
  if (!fs::is_directory(path)) return false;
  int64_t pairs = 0;
  const Groups groups = groups_of(path);
  for (const auto& [name, group] : groups) {
    const bool sure = std::any_of(group.begin(), group.end(), [](auto& e) { return e.sure_mask; });
    pairs += group.size() == 2 && (sure || group[0].lossless != group[1].lossless);
  }
  // In a folder without masks a few names may be there twice.
  return pairs > 0 && 2 * pairs >= std::ssize(groups);
}

MaskData list_mask_pairs(const std::string& path, const MaskDataOptions& options) {
  check_folder(path);
  MaskData data;
  int64_t without_mask = 0;
  for (const auto& [name, group] : groups_of(path)) {
    const Pair pair = pair_of(path, name, group);
    MaskedPicture picture{pair.picture.path, {}};
    if (pair.mask) {
      int32_t kind = MaskOfFile::by_value;
      if (options.kinds == Kinds::folder) {
        require(!pair.picture.folder.empty(), "'", pair.picture.path,
                "' lies in no folder of its own under '", path, "'; --kinds folder needs one");
        kind = number_of_name(data.kinds, pair.picture.folder);
      } else if (options.kinds != Kinds::value) {
        kind = number_of_name(data.kinds, only_kind);
      }
      picture.parts.push_back(MaskOfFile{kind, pair.mask->path});
    } else {
      ++without_mask;
    }
    data.pictures.push_back(std::move(picture));
  }
  require(without_mask < std::ssize(data.pictures), "'", path,
          "' has no masks: put them into a folder masks/ beside images/, or beside each picture as "
          "NAME_mask.png");
  if (without_mask > 0)
    data.notes.push_back(cat(counted(without_mask, "picture"), " without a mask, counted as good"));
  return data;
}

}  // namespace fettle
