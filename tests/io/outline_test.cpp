#include "io/outline.h"

#include <gtest/gtest.h>

#include <random>
#include <sstream>

#include "tests/io/temporary_folder.h"

namespace fettle {
namespace {

Mask mask_of(const std::vector<std::string>& rows) {
  Mask mask(std::ssize(rows), std::ssize(rows[0]));
  for (size_t y = 0; y < rows.size(); ++y)
    for (size_t x = 0; x < rows[y].size(); ++x)
      mask.pixels[y * rows[y].size() + x] = rows[y][x] == '#';
  return mask;
}

/// The mask that a path encloses by the even-odd rule: each of its upright edges turns over all
/// pixels to the right.
Mask filled(const std::string& path, int64_t height, int64_t width) {
  Mask mask(height, width);
  std::istringstream in(path);
  char command = 0, comma = 0;
  int64_t x = 0, y = 0, by = 0, begin_x = 0, begin_y = 0;
  while (in >> command) {
    if (command == 'M') {
      in >> x >> comma >> y;
      begin_x = x, begin_y = y;
    } else if (command == 'h') {
      in >> by;
      x += by;
    } else if (command == 'v') {
      in >> by;
      for (int64_t row = std::min(y, y + by); row < std::max(y, y + by); ++row)
        for (int64_t column = x; column < width; ++column) mask.at(row, column) ^= 1;
      y += by;
    } else {
      EXPECT_EQ(command, 'z');
      EXPECT_TRUE(x == begin_x && y == begin_y) << path;
    }
  }
  return mask;
}

TEST(Outline, FollowsTheEdgesOfPixels) {
  EXPECT_EQ(outline_path(mask_of({"..", ".."})), "");
  EXPECT_EQ(outline_path(mask_of({"...", ".##", "..."})), "M1,1h2v1h-2v-1z");
  // A hole is a line of its own.
  EXPECT_EQ(outline_path(mask_of({"###", "#.#", "###"})), "M0,0h3v3h-3v-3zM1,2h1v-1h-1v1z");
  // Pixels that touch at a corner stay apart.
  EXPECT_EQ(outline_path(mask_of({"#.", ".#"})), "M0,0h1v1h-1v-1zM1,1h1v1h-1v-1z");
}

TEST(Outline, EnclosesTheMaskWhateverItIs) {
  std::mt19937 random(5);
  for (int i = 0; i < 200; ++i) {
    Mask mask(1 + random() % 9, 1 + random() % 11);
    for (uint8_t& pixel : mask.pixels) pixel = random() % 3 == 0;
    EXPECT_EQ(filled(outline_path(mask), mask.height, mask.width).pixels, mask.pixels) << i;
  }
}

TEST(Outline, ASmallDefectIsNotLostWhenAMaskShrinks) {
  Mask mask(30, 70);
  mask.at(29, 69) = mask.at(0, 13) = 1;
  const Mask small = shrunk(mask, 3, 7);
  EXPECT_EQ(small.pixels, mask_of({".#.....", ".......", "......#"}).pixels);
  EXPECT_EQ(shrunk(mask, 30, 70).pixels, mask.pixels);
  expect_error([&] { shrunk(mask, 31, 70); }, {"30x70", "31x70"});
}

}  // namespace
}  // namespace fettle
