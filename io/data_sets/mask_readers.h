// The readers behind read_mask_data(), one a format. Each says whether a path is of its format and
// lists the pictures with the places of their masks, without drawing any.
#pragma once

#include <optional>

#include "io/data_sets/mask_data.h"

namespace fettle {

/// The table of run lengths that `path` is or holds (train.csv before others), or nothing.
std::optional<std::string> find_severstal_table(const std::string& path);
MaskData list_severstal(const std::string& path, const MaskDataOptions& options);

/// The JSON file of annotations that `path` is or holds (via_region_data.json before others).
std::optional<std::string> find_via_file(const std::string& path);
MaskData list_via(const std::string& path, const MaskDataOptions& options);

bool is_mvtec(const std::string& path);
MaskData list_mvtec(const std::string& path, const MaskDataOptions& options);

bool has_mask_pairs(const std::string& path);
MaskData list_mask_pairs(const std::string& path, const MaskDataOptions& options);

/// The name of the only kind.
inline constexpr const char* only_kind = "defect";

/// The number of `name` in `names`, appended where it is new.
int32_t number_of_name(std::vector<std::string>& names, const std::string& name);

}  // namespace fettle
