#include "io/heat_map.h"

#include <gtest/gtest.h>

#include "tests/io/temporary_folder.h"

namespace fettle {
namespace {

using Pixel = std::array<int, 3>;

Pixel at(const Picture& picture, size_t i) {
  return {picture.pixels[3 * i], picture.pixels[3 * i + 1], picture.pixels[3 * i + 2]};
}

TEST(HeatMap, ReddensTheHottestAndLeavesTheCold) {
  const Picture grey{1, 3, 1, {100, 100, 100}};
  const Picture warm = draw_heat_map(grey, std::vector<float>{0, 2, 4}, "");
  ASSERT_EQ(warm.channels, 3);
  EXPECT_EQ(at(warm, 0), (Pixel{100, 100, 100}));
  EXPECT_EQ(at(warm, 1), (Pixel{147, 108, 70}));  // 0.7 picture, 0.3 (255, 127.5, 0)
  EXPECT_EQ(at(warm, 2), (Pixel{193, 40, 40}));   // 0.4 picture, 0.6 (255, 0, 0)

  const Picture colour{1, 2, 3, {1, 2, 3, 40, 50, 60}};
  const Picture cold = draw_heat_map(colour, std::vector<float>{0, 0}, "");
  EXPECT_EQ(cold.pixels, colour.pixels);
  EXPECT_GT(draw_heat_map(colour, std::vector<float>{0, 1}, "defective").height, 1);
  expect_error([&] { draw_heat_map(colour, std::vector<float>{0}, ""); }, {"1x2"});
}

}  // namespace
}  // namespace fettle
