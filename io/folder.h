// What lies in a folder, in a fixed order.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <vector>

namespace fettle {

/// Throws Error when `path` is missing or no folder.
void check_folder(const std::string& path);

/// Throws Error when something is in `path`, or it is no folder; it may be missing.
void check_unused(const std::string& path);

/// Whether `path`, which may be missing, is the folder or lies under it, links followed.
bool lies_in(const std::string& path, const std::string& folder);

/// The folders (or else the files) directly in a folder that are not hidden, ordered by the bytes
/// of their names. Throws Error naming what cannot be looked at.
std::vector<std::filesystem::path> sorted_entries(const std::filesystem::path& folder,
                                                  bool folders);

/// All files under a folder that are neither hidden nor in a hidden folder: by folder, the folders
/// in the order of their whole paths as Python's sorted(os.walk(...)) gives it, then by name. Links
/// to folders are not followed.
std::vector<std::string> files_under(const std::filesystem::path& folder);

/// Removes the PNG files under a folder but for those in `kept`: what an earlier call of a command
/// left among the pictures that it has drawn now. Does nothing where there is no such folder.
void remove_other_pngs(const std::filesystem::path& folder,
                       const std::set<std::filesystem::path>& kept);

/// Whether the content is that of a JPEG, PNG, BMP or GIF.
bool is_picture(const std::string& path);

/// A text with the letters A to Z made small.
std::string lower(std::string text);

/// Whether the extension is one that pictures have, in any case.
bool is_named_like_a_picture(const std::string& path);

}  // namespace fettle
