#include "io/data_sets/via.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/io/temporary_folder.h"
#include "tests/stored_values.h"

namespace fettle {
namespace {

int64_t area(const Mask& mask) {
  int64_t count = 0;
  for (const uint8_t pixel : mask.pixels) count += pixel;
  return count;
}

TEST(Polygon, CoversItsInsideAndItsOutline) {
  Mask square(10, 12);
  fill_polygon({{2, 3}, {6, 3}, {6, 8}, {2, 8}}, square);
  EXPECT_EQ(area(square), 5 * 6);
  EXPECT_EQ(square.at(3, 2), 1);
  EXPECT_EQ(square.at(8, 6), 1);
  EXPECT_EQ(square.at(2, 2), 0);
  EXPECT_EQ(square.at(8, 7), 0);

  Mask triangle(10, 10);  // half of a square, and its diagonal
  fill_polygon({{0, 0}, {9, 9}, {0, 9}}, triangle);
  EXPECT_EQ(area(triangle), 55);

  Mask arrow(9, 9);  // a notch stays open
  fill_polygon({{0, 0}, {8, 0}, {8, 8}, {4, 3}, {0, 8}}, arrow);
  EXPECT_EQ(arrow.at(6, 4), 0);
  EXPECT_EQ(arrow.at(1, 4), 1);
}

TEST(Polygon, IsCutOffAtThePictureAndRefusedOutside) {
  Mask mask(4, 5);
  fill_polygon({{-10, -10}, {100, -10}, {100, 100}, {-10, 100}}, mask);
  EXPECT_EQ(area(mask), 20);
  EXPECT_NE(message_of([&] {
              fill_polygon({{9, 9}, {12, 9}, {9, 12}}, mask);
            }).find("outside the picture of 4x5"),
            std::string::npos);
  EXPECT_NE(message_of([&] {
              fill_polygon({{1, 1}, {2, 2}}, mask);
            }).find("2 points"),
            std::string::npos);
  EXPECT_NE(message_of([&] {
              fill_polygon({{1, 1}, {2, NAN}, {3, 3}}, mask);
            }).find("no picture"),
            std::string::npos);
}

class Via : public testing::Test {
 protected:
  std::vector<ViaPicture> read(const std::string& text) {
    const std::string path = folder_ / "via.json";
    std::ofstream(path) << text;
    return read_via(path);
  }
  std::string refusal(const std::string& text) {
    return message_of([&] { read(text); });
  }
  TemporaryFolder folder_;
};

constexpr const char* version_1 =
    R"({"a.jpg12": {"filename": "a.jpg", "size": 12, "regions": {
        "0": {"shape_attributes": {"name": "polygon", "all_points_x": [1, 5, 5],
                                   "all_points_y": [1, 1, 6]},
              "region_attributes": {"Class Name": "dent"}},
        "1": {"shape_attributes": {"name": "rect", "x": 2, "y": 3, "width": 4, "height": 5},
              "region_attributes": {}}}},
       "b.png7": {"filename": "b.png", "size": 7, "regions": {}}})";

TEST_F(Via, ReadsTheObjectsOfVersion1) {
  const std::vector<ViaPicture> pictures = read(version_1);
  ASSERT_EQ(pictures.size(), 2u);
  EXPECT_EQ(pictures[0].file_name, "a.jpg");
  ASSERT_EQ(pictures[0].regions.size(), 2u);
  EXPECT_EQ(pictures[0].regions[0].kind, "dent");
  EXPECT_EQ(pictures[0].regions[0].polygon[2].y, 6);
  EXPECT_EQ(pictures[0].regions[1].kind, "defect");
  EXPECT_EQ(pictures[0].regions[1].polygon[2].x, 6);
  EXPECT_TRUE(pictures[1].regions.empty());
}

TEST_F(Via, ReadsTheListsAndProjectsOfVersion2) {
  const std::string entry =
      R"({"a.jpg12": {"filename": "a.jpg", "size": 12, "regions": [
          {"shape_attributes": {"name": "polygon", "all_points_x": [1, 5.5, 5],
                                "all_points_y": [1, 1, 6]},
           "region_attributes": {"name": "", "type": "scratch"}}]}})";
  for (const std::string& text :
       {entry, R"({"_via_settings": {}, "_via_img_metadata": )" + entry + "}"}) {
    const std::vector<ViaPicture> pictures = read(text);
    ASSERT_EQ(pictures.size(), 1u);
    EXPECT_EQ(pictures[0].regions.at(0).kind, "scratch");
    EXPECT_EQ(pictures[0].regions[0].polygon[1].x, 5.5);
  }
}

TEST_F(Via, NamesTheFileAndTheRegionOfAFault) {
  const std::string whole = version_1;
  EXPECT_NE(refusal(whole.substr(0, whole.size() / 2)).find("no whole JSON file"),
            std::string::npos);
  EXPECT_NE(refusal("[1, 2]").find("no file of annotations from VIA"), std::string::npos);
  EXPECT_NE(refusal(R"({"a": {"filename": "a"}})").find("'a' has no filename or no regions"),
            std::string::npos);
  const auto with_shape = [](const std::string& shape) {
    return R"({"a": {"filename": "a.jpg", "regions": [{"shape_attributes": )" + shape + "}]}}";
  };
  for (const auto& [shape, part] : std::vector<std::pair<std::string, std::string>>{
           {R"({"name": "polygon", "all_points_x": [1, 2], "all_points_y": [1, 2]})",
            "has 2 points; a polygon needs three"},
           {R"({"name": "polygon", "all_points_x": [1, 2, 3], "all_points_y": [1, 2]})",
            "has 3 columns and 2 rows"},
           {R"({"name": "circle", "cx": 1, "cy": 2, "r": 3})", "has the shape 'circle'"},
           {R"({"name": "polygon", "all_points_x": "1"})", "has no shape with coordinates"}}) {
    const std::string message = refusal(with_shape(shape));
    EXPECT_NE(message.find("via.json': region 1 of 'a.jpg' " + part), std::string::npos) << message;
  }
}

}  // namespace
}  // namespace fettle
