#include "io/data_sets/via.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/counted.h"
#include "engine/error.h"
#include "io/data_sets/mask_readers.h"
#include "io/folder.h"
#include "io/read_file.h"

namespace fettle {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

std::vector<Point> polygon_of(const Json& shape) {
  const std::string name = shape.at("name");
  if (name == "rect") {
    const double x = shape.at("x"), y = shape.at("y");
    const double right = x + shape.at("width").get<double>();
    const double bottom = y + shape.at("height").get<double>();
    return {{x, y}, {right, y}, {right, bottom}, {x, bottom}};
  }
  require(name == "polygon" || name == "polyline", "has the shape '", name,
          "'; polygon, polyline and rect can be read");
  const auto xs = shape.at("all_points_x").get<std::vector<double>>();
  const auto ys = shape.at("all_points_y").get<std::vector<double>>();
  require(xs.size() == ys.size(), "has ", xs.size(), " columns and ", ys.size(), " rows of points");
  require(xs.size() >= 3, "has ", counted(std::ssize(xs), "point"), "; a polygon needs three");
  std::vector<Point> polygon;
  for (size_t i = 0; i < xs.size(); ++i) polygon.push_back({xs[i], ys[i]});
  return polygon;
}

bool is_json(const fs::path& file) {
  return file.extension() == ".json";
}

std::string kind_of(const Json& region) {
  const auto attributes = region.find("region_attributes");
  if (attributes != region.end()) {
    for (const auto& [key, value] : attributes->items()) {
      if (value.is_string() && !value.get<std::string>().empty()) return value;
    }
  }
  return "defect";
}

}  // namespace

std::vector<ViaPicture> read_via(const std::string& path) {
  const std::vector<uint8_t> bytes = read_file(path);
  Json file = Json::parse(bytes.begin(), bytes.end(), nullptr, false);
  require(!file.is_discarded(), "'", path, "' is no whole JSON file; export it again from VIA");
  if (file.is_object() && file.contains("_via_img_metadata"))
    file = Json(file["_via_img_metadata"]);
  require(file.is_object(), "'", path, "' is no file of annotations from VIA");
  std::vector<ViaPicture> pictures;
  for (const auto& [key, entry] : file.items()) {
    require(entry.is_object() && entry.contains("filename") && entry["filename"].is_string() &&
                entry.contains("regions") && entry["regions"].is_structured(),
            "'", path, "' is no file of annotations from VIA: '", key,
            "' has no filename or no regions");
    ViaPicture picture{entry["filename"], {}};
    int64_t number = 0;
    for (const Json& region : entry["regions"]) {
      ++number;
      try {
        picture.regions.push_back({kind_of(region), polygon_of(region.at("shape_attributes"))});
      } catch (const Error& error) {
        throw Error("'", path, "': region ", number, " of '", picture.file_name, "' ",
                    error.what());
      } catch (const Json::exception&) {
        throw Error("'", path, "': region ", number, " of '", picture.file_name,
                    "' has no shape with coordinates");
      }
    }
    pictures.push_back(std::move(picture));
  }
  return pictures;
}

std::optional<std::string> find_via_file(const std::string& path) {
  if (!fs::is_directory(path))
    return is_json(path) && fs::exists(path) ? std::optional(path) : std::nullopt;
  const std::string usual = (fs::path(path) / "via_region_data.json").string();
  if (fs::exists(usual)) return usual;
  for (const fs::path& file : sorted_entries(path, false)) {
    try {
      if (is_json(file) && !read_via(file.string()).empty()) return file.string();
    } catch (const Error&) {  // some other JSON file
    }
  }
  return {};
}

MaskData list_via(const std::string& path, const MaskDataOptions&) {
  const std::optional<std::string> file = find_via_file(path);
  if (!file && fs::is_directory(path))
    for (const fs::path& other : sorted_entries(path, false))
      if (is_json(other)) read_via(other.string());  // says what is wrong with it
  require(file.has_value(), "'", path, "' holds no JSON file of annotations from VIA");
  MaskData data;
  std::vector<std::string> missing;
  const std::vector<ViaPicture> entries = read_via(*file);
  for (const ViaPicture& entry : entries)
    for (const ViaRegion& region : entry.regions) number_of_name(data.kinds, region.kind);
  std::sort(data.kinds.begin(), data.kinds.end());
  for (const ViaPicture& entry : entries) {
    const fs::path picture_path = fs::path(*file).parent_path() / entry.file_name;
    if (!fs::exists(picture_path)) {
      missing.push_back(entry.file_name);
      continue;
    }
    MaskedPicture picture{picture_path.string(), {}};
    for (size_t i = 0; i < entry.regions.size(); ++i) {
      const ViaRegion& region = entry.regions[i];
      picture.parts.push_back(
          PolygonRegion{number_of_name(data.kinds, region.kind), region.polygon,
                        cat("'", *file, "', region ", i + 1, " of '", entry.file_name, "'")});
    }
    data.pictures.push_back(std::move(picture));
  }
  require(!data.pictures.empty(), "no picture that '", *file,
          "' names lies beside it: ", counted(std::ssize(entries), "entry", "entries"),
          "; put the pictures there");
  if (!missing.empty()) {
    data.notes.push_back(cat(counted(std::ssize(missing), "entry", "entries"),
                             " without a picture beside the file, for example ", missing.front()));
  }
  return data;
}

}  // namespace fettle
