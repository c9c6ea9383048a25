// Annotations of the VGG Image Annotator (VIA): polygons and boxes with their kinds.
//
// Version 1 keeps an object by file name and size whose `regions` are an object; version 2 keeps
// them as a list, and a saved project nests the whole under `_via_img_metadata`.
// Dutta, Zisserman: "The VIA annotation software", ACM Multimedia 2019.
#pragma once

#include <string>
#include <vector>

#include "io/polygon.h"

namespace fettle {

struct ViaRegion {
  std::string kind;  ///< the first attribute with a text, whatever its name is; else "defect"
  std::vector<Point> polygon;
};

struct ViaPicture {
  std::string file_name;
  std::vector<ViaRegion> regions;
};

/// Every entry of the file, in its order; entries may lack their picture. Throws Error naming the
/// file and the entry when it is no such file, a region has a shape other than polygon, polyline or
/// rect, or a polygon has fewer than three points.
std::vector<ViaPicture> read_via(const std::string& path);

}  // namespace fettle
