#include "io/folder.h"

#include <algorithm>

#include "engine/error.h"
#include "io/picture_format.h"
#include "io/read_file.h"

namespace fettle {

namespace fs = std::filesystem;

namespace {

bool is_hidden(const fs::path& path) {
  return path.filename().string().starts_with('.');
}

// In the order of whole paths as strings "a-b" comes before "a/b".
void collect_folders(const fs::path& folder, std::vector<std::string>& folders) {
  folders.push_back(folder.string());
  for (const fs::path& inner : sorted_entries(folder, true))
    if (!fs::is_symlink(inner)) collect_folders(inner, folders);
}

void require_readable(const fs::path& path, const std::error_code& error) {
  require(!error, "'", path.string(), "' cannot be read: ", error.message(),
          "; give yourself the right to read it, or name a folder with pictures alone");
}

}  // namespace

void check_folder(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  require(status.type() != fs::file_type::not_found, "the folder '", path, "' does not exist");
  require_readable(path, error);
  require(fs::is_directory(status), "'", path, "' is a file, not a folder");
}

void check_unused(const std::string& path) {
  if (!fs::exists(path)) return;
  check_folder(path);
  require(fs::is_empty(path), "the folder '", path,
          "' is not empty, and what is there would be mixed with the new files; empty it, or give "
          "another folder");
}

bool lies_in(const std::string& path, const std::string& folder) {
  const fs::path inner = fs::weakly_canonical(fs::absolute(path));
  const fs::path outer = fs::weakly_canonical(fs::absolute(folder));
  const auto [end, rest] = std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end());
  return end == outer.end() || end->empty();  // empty: the folder was written with a slash
}

std::vector<fs::path> sorted_entries(const fs::path& folder, bool folders) {
  std::vector<fs::path> entries;
  std::error_code error;
  fs::directory_iterator entry(folder, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    if (is_hidden(entry->path())) continue;
    std::error_code unknown;
    const fs::file_status status = entry->status(unknown);
    if (status.type() == fs::file_type::none) require_readable(entry->path(), unknown);
    if (fs::is_directory(status) == folders) entries.push_back(*entry);
  }
  require_readable(folder, error);
  std::sort(entries.begin(), entries.end(),
            [](const fs::path& a, const fs::path& b) { return a.native() < b.native(); });
  return entries;
}

std::vector<std::string> files_under(const fs::path& folder) {
  std::vector<std::string> folders, files;
  collect_folders(folder, folders);
  std::sort(folders.begin(), folders.end());
  for (const std::string& one : folders)
    for (const fs::path& file : sorted_entries(one, false)) files.push_back(file.string());
  return files;
}

void remove_other_pngs(const std::filesystem::path& folder,
                       const std::set<std::filesystem::path>& kept) {
  if (!std::filesystem::is_directory(folder)) return;
  for (const std::string& path : files_under(folder)) {
    if (kept.contains(path) || std::filesystem::path(path).extension() != ".png") continue;
    std::error_code error;
    require(std::filesystem::remove(path, error) || !error, "cannot remove '", path,
            "', which an earlier call has left: ", error.message(), "; give another --out");
  }
}

bool is_picture(const std::string& path) {
  return picture_format(read_file(path, picture_signature_size)) != PictureFormat::none;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

bool is_named_like_a_picture(const std::string& path) {
  const std::string extension = lower(fs::path(path).extension().string());
  constexpr const char* extensions[] = {".jpg", ".jpeg", ".png", ".bmp",
                                        ".gif", ".webp", ".tif", ".tiff"};
  return std::find(std::begin(extensions), std::end(extensions), extension) != std::end(extensions);
}

}  // namespace fettle
