#include "io/synthesize_tyres.h"

#include <cmath>
#include <set>
#include <sstream>

#include "io/data_sets/class_folder.h"
#include "io/read_file.h"
#include "io/tyre_picture.h"
#include "kernels/parallel.h"
#include "tests/io/temporary_folder.h"

namespace fettle {
namespace {

TEST(SynthesizeTyres, WritesClassFoldersAndBoxes) {
  const TemporaryFolder folder;
  synthesize_tyres(folder.path(), 6, 48, 3);
  const ClassFolder data = read_class_folder(folder.path());
  EXPECT_EQ(data.class_names, (std::vector<std::string>{"defective", "good"}));
  EXPECT_EQ(data.examples.size(), 12u);
  EXPECT_EQ(read_picture(folder / "good/0001.jpg").height, 48);

  std::ifstream table(folder / "defects.csv");
  std::string line, field;
  std::getline(table, line);
  EXPECT_EQ(line, "image,kind,x,y,width,height");
  std::set<std::string> kinds;
  for (int number = 1; std::getline(table, line); ++number) {
    std::istringstream fields(line);
    std::getline(fields, field, ',');
    EXPECT_EQ(field, cat("defective/000", number, ".jpg"));
    std::getline(fields, field, ',');
    kinds.insert(field);
    int x = 0, y = 0, width = 0, height = 0;
    char comma = 0;
    fields >> x >> comma >> y >> comma >> width >> comma >> height;
    EXPECT_TRUE(x >= 0 && y >= 0 && width > 2 && height > 2) << line;
    EXPECT_TRUE(x + width <= 48 && y + height <= 48) << line;
  }
  EXPECT_EQ(kinds, (std::set<std::string>{"bulge", "chunk", "crack", "cut", "nail", "worn"}));
}

TEST(SynthesizeTyres, TheSeedAloneDecides) {
  const TemporaryFolder a, b, c;
  const int before = threads();
  set_threads(1);
  synthesize_tyres(a.path(), 3, 40, 7);
  set_threads(3);
  synthesize_tyres(b.path(), 3, 40, 7);
  synthesize_tyres(c.path(), 3, 40, 8);
  set_threads(before);
  for (const char* name : {"good/0002.jpg", "defective/0003.jpg", "defects.csv"}) {
    EXPECT_EQ(read_file(a / name), read_file(b / name)) << name;
    EXPECT_NE(read_file(a / name), read_file(c / name)) << name;
  }
}

// Otherwise a model could pass without looking at the tread.
TEST(SynthesizeTyres, MeanBrightnessSaysLittle) {
  constexpr int count = 90;
  double mean[2] = {}, square = 0;
  for (const bool defective : {false, true}) {
    for (uint32_t i = 0; i < count; ++i) {
      const Picture picture = draw_tyre({1, i, defective}, 32, defective).picture;
      double sum = 0;
      for (const uint8_t value : picture.pixels) sum += value;
      const double brightness = sum / static_cast<double>(picture.pixels.size());
      mean[defective] += brightness / count;
      square += brightness * brightness / (2 * count);
    }
  }
  const double middle = (mean[0] + mean[1]) / 2, deviation = std::sqrt(square - middle * middle);
  EXPECT_LT(std::abs(mean[0] - mean[1]), 0.4 * deviation);
}

TEST(SynthesizeTyres, AnUnwritablePlaceIsNamed) {
  const TemporaryFolder folder;
  write_bytes(folder / "file", "");
  expect_error([&] { synthesize_tyres(folder / "file", 1, 40, 0); }, {"/file/good", "cannot make"});
}

}  // namespace
}  // namespace fettle
