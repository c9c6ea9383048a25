// The steel sheets of Severstal: masks as run lengths in a table.
#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include "engine/counted.h"
#include "engine/error.h"
#include "io/csv.h"
#include "io/data_sets/mask_readers.h"
#include "io/folder.h"
#include "io/read_file.h"

namespace fettle {
namespace {

namespace fs = std::filesystem;

/// A table with the places of its columns by their names in small letters.
struct Table {
  std::string path;
  std::vector<CsvLine> lines;  ///< without the header
  std::map<std::string, size_t> columns;

  bool has(const std::string& column) const { return columns.contains(column); }
  const std::string& at(const CsvLine& line, const std::string& column) const {
    return line.fields[columns.at(column)];
  }
  std::string where(const CsvLine& line) const { return cat("'", path, "', line ", line.number); }
};

Table read_table(const std::string& path) {
  Table table{path, read_csv(path), {}};
  if (table.lines.empty()) return table;
  const std::vector<std::string> header = table.lines.front().fields;
  table.lines.erase(table.lines.begin());
  for (size_t i = 0; i < header.size(); ++i) table.columns[lower(header[i])] = i;
  for (const CsvLine& line : table.lines)
    require(line.fields.size() == header.size(), table.where(line), ": has ",
            counted(std::ssize(line.fields), "field"), ", but the header ", header.size());
  return table;
}

bool has_run_lengths(const std::string& path) {
  const std::vector<uint8_t> beginning = read_file(path, 4096);
  const std::string text(beginning.begin(), beginning.end());
  return lower(text.substr(0, text.find('\n'))).find("encodedpixels") != std::string::npos;
}

/// The tables in the folder that `accepts` holds for.
template <class F>
std::vector<std::string> tables_in(const fs::path& folder, const F& accepts) {
  std::vector<std::string> tables;
  for (const fs::path& file : sorted_entries(folder, false))
    if (lower(file.extension().string()) == ".csv" && accepts(file.string()))
      tables.push_back(file.string());
  return tables;
}

/// Picture and kind of a line, in either of the two forms.
std::pair<std::string, std::string> picture_and_kind(const Table& table, const CsvLine& line) {
  if (table.has("imageid")) return {table.at(line, "imageid"), table.at(line, "classid")};
  const std::string& both = table.at(line, "imageid_classid");
  const size_t bar = both.rfind('_');
  require(bar != std::string::npos, table.where(line), ": '", both,
          "' is not of the form picture_kind, such as 0002cc93b.jpg_1");
  return {both.substr(0, bar), both.substr(bar + 1)};
}

int64_t kind_number(const Table& table, const CsvLine& line, const std::string& text) {
  int64_t kind = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), kind);
  require(error == std::errc() && end == text.data() + text.size() && kind >= 1, table.where(line),
          ": the ClassId '", text, "' is not a whole number from 1");
  return kind;
}

/// Every picture by its file name. Severstal keeps those of train.csv in train_images/.
std::map<std::string, std::string> pictures_beside(const fs::path& table_folder) {
  fs::path folder = table_folder;
  for (const char* usual : {"images", "train_images"})
    if (fs::is_directory(table_folder / usual)) folder = table_folder / usual;
  std::map<std::string, std::string> pictures;
  for (const std::string& file : files_under(folder))
    if (is_named_like_a_picture(file)) pictures[fs::path(file).filename().string()] = file;
  return pictures;
}

/// The pictures of tables such as "ImageID,label" whose label is 0, if there is one.
std::optional<std::set<std::string>> listed_as_good(const fs::path& folder) {
  std::optional<std::set<std::string>> good;
  for (const std::string& path :
       tables_in(folder, [](const std::string& file) { return !has_run_lengths(file); })) {
    const Table table = read_table(path);
    if (!table.has("imageid") || !table.has("label")) continue;
    if (!good) good.emplace();
    for (const CsvLine& line : table.lines)
      if (table.at(line, "label") == "0") good->insert(table.at(line, "imageid"));
  }
  return good;
}

}  // namespace

std::optional<std::string> find_severstal_table(const std::string& path) {
  if (!fs::is_directory(path)) {
    if (lower(fs::path(path).extension().string()) == ".csv" && fs::exists(path)) return path;
    return {};
  }
  const std::vector<std::string> tables = tables_in(path, has_run_lengths);
  if (tables.empty()) return {};
  const std::string usual = (fs::path(path) / "train.csv").string();
  if (std::find(tables.begin(), tables.end(), usual) != tables.end()) return usual;
  require(tables.size() == 1, "'", path, "' holds ", tables.size(),
          " tables of run lengths and none is called train.csv; name the table to use instead of "
          "the folder");
  return tables.front();
}

MaskData list_severstal(const std::string& path, const MaskDataOptions&) {
  const std::optional<std::string> file = find_severstal_table(path);
  require(file.has_value(), "'", path, "' holds no table (.csv) with the column EncodedPixels");
  const Table table = read_table(*file);
  require(table.has("encodedpixels") &&
              (table.has("imageid_classid") || (table.has("imageid") && table.has("classid"))),
          "'", *file,
          "' lacks columns: its first line must be ImageId,ClassId,EncodedPixels or "
          "ImageId_ClassId,EncodedPixels");
  const fs::path parent = fs::path(*file).parent_path();
  const fs::path folder = parent.empty() ? fs::path(".") : parent;
  const std::map<std::string, std::string> pictures = pictures_beside(folder);

  std::map<int64_t, int32_t> kinds;
  std::map<std::string, std::vector<std::pair<int64_t, RunLengthRow>>> rows;  // by picture
  for (const CsvLine& line : table.lines) {
    const auto [name, kind_text] = picture_and_kind(table, line);
    const int64_t kind = kind_number(table, line, kind_text);
    require(pictures.contains(name), table.where(line), ": the picture '", name,
            "' was not found beside the table; put it there, or remove the line");
    kinds[kind] = 0;
    const std::string& runs = table.at(line, "encodedpixels");
    auto& rows_of_picture = rows[name];
    if (!runs.empty())
      rows_of_picture.push_back(
          {kind, {0, runs, cat(table.where(line), " (", name, ", kind ", kind, ")")}});
  }

  MaskData data;
  for (auto& [kind, number] : kinds) {
    number = static_cast<int32_t>(data.kinds.size());
    data.kinds.push_back(std::to_string(kind));
  }
  const std::optional<std::set<std::string>> good = listed_as_good(folder);
  int64_t unlisted = 0;
  for (const auto& [name, picture] : pictures) {
    const auto found = rows.find(name);
    if (found == rows.end() && good && !good->contains(name)) {
      ++unlisted;
      continue;
    }
    MaskedPicture entry{picture, {}};
    if (found != rows.end()) {
      require(found->second.empty() || !good || !good->contains(name), "'", name,
              "' is listed as good, but has defects in '", *file, "'");
      for (auto& [kind, row] : found->second) {
        row.kind = kinds[kind];
        entry.parts.push_back(row);
      }
    }
    data.pictures.push_back(std::move(entry));
  }
  if (unlisted > 0) {
    data.notes.push_back(
        cat(counted(unlisted, "picture"), " neither in the table nor listed as good, left out"));
  }
  return data;
}

}  // namespace fettle
