#include "io/via.h"

#include <nlohmann/json.hpp>

#include "engine/error.h"
#include "io/read_file.h"

namespace fettle {
namespace {

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
  require(xs.size() >= 3, "has ", xs.size(), " points; a polygon needs three");
  std::vector<Point> polygon;
  for (size_t i = 0; i < xs.size(); ++i) polygon.push_back({xs[i], ys[i]});
  return polygon;
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

}  // namespace fettle
