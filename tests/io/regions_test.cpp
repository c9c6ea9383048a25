#include "io/regions.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <random>
#include <string>
#include <utility>

namespace fettle {
namespace {

Mask drawn(const std::vector<std::string>& rows) {
  Mask mask(std::ssize(rows), rows.empty() ? 0 : std::ssize(rows[0]));
  for (int64_t y = 0; y < mask.height; ++y) {
    for (int64_t x = 0; x < mask.width; ++x) {
      mask.at(y, x) = rows[static_cast<size_t>(y)][static_cast<size_t>(x)] == '#';
    }
  }
  return mask;
}

Mask random_mask(int64_t height, int64_t width, double density, uint32_t seed) {
  std::mt19937 random(seed);
  Mask mask(height, width);
  for (uint8_t& pixel : mask.pixels) pixel = random() < density * 4294967296.0 ? 255 : 0;
  return mask;
}

std::vector<float> random_probabilities(size_t count) {
  std::mt19937 random(5);
  std::uniform_real_distribution<float> uniform;
  std::vector<float> values(count);
  for (float& value : values) value = uniform(random);
  return values;
}

std::vector<Region> regions_of(const Mask& mask) {
  const std::vector<float> probabilities(mask.pixels.size(), 1.0f);
  return fettle::regions_of(mask, probabilities.data(), 1);
}

// The pixels of every region, by flooding from each pixel that no flood has reached.
std::vector<std::vector<int64_t>> flooded(Mask mask) {
  std::vector<std::vector<int64_t>> regions;
  for (int64_t start = 0; start < std::ssize(mask.pixels); ++start) {
    if (!mask.pixels[static_cast<size_t>(start)]) continue;
    std::vector<int64_t> pixels{start};
    mask.pixels[static_cast<size_t>(start)] = 0;
    for (size_t i = 0; i < pixels.size(); ++i) {
      const int64_t row = pixels[i] / mask.width, column = pixels[i] % mask.width;
      for (int64_t y = row - 1; y <= row + 1; ++y) {
        for (int64_t x = column - 1; x <= column + 1; ++x) {
          if (y < 0 || x < 0 || y >= mask.height || x >= mask.width || !mask.at(y, x)) continue;
          mask.at(y, x) = 0;
          pixels.push_back(y * mask.width + x);
        }
      }
    }
    regions.push_back(pixels);
  }
  return regions;
}

using Row = std::array<int64_t, 5>;  // -area, y, x, height, width: rises in the order of regions

void expect_as_flooded(const Mask& mask, int64_t min_area) {
  constexpr int64_t stride = 3, channel = 1;
  const std::vector<float> probabilities = random_probabilities(mask.pixels.size() * stride);
  std::vector<std::pair<Row, double>> regions, expected;  // with their confidences
  for (const Region& r :
       fettle::regions_of(mask, probabilities.data() + channel, stride, min_area)) {
    regions.push_back({{-r.area, r.y, r.x, r.height, r.width}, r.confidence});
  }
  Mask large(mask.height, mask.width);
  for (const std::vector<int64_t>& pixels : flooded(mask)) {
    if (std::ssize(pixels) < min_area) continue;
    int64_t top = mask.height, left = mask.width, bottom = 0, right = 0;
    double sum = 0;
    for (const int64_t pixel : pixels) {
      top = std::min(top, pixel / mask.width);
      left = std::min(left, pixel % mask.width);
      bottom = std::max(bottom, pixel / mask.width);
      right = std::max(right, pixel % mask.width);
      sum += static_cast<double>(probabilities[static_cast<size_t>(pixel * stride + channel)]);
      large.pixels[static_cast<size_t>(pixel)] = mask.pixels[static_cast<size_t>(pixel)];
    }
    const auto area = std::ssize(pixels);
    expected.push_back(
        {{-area, top, left, bottom - top + 1, right - left + 1}, sum / static_cast<double>(area)});
  }
  EXPECT_TRUE(std::is_sorted(regions.begin(), regions.end(), [](const auto& a, const auto& b) {
    return std::lexicographical_compare(a.first.begin(), a.first.begin() + 3, b.first.begin(),
                                        b.first.begin() + 3);
  }));
  std::sort(regions.begin(), regions.end());
  std::sort(expected.begin(), expected.end());
  ASSERT_EQ(regions.size(), expected.size());
  for (size_t i = 0; i < regions.size(); ++i) {
    EXPECT_EQ(regions[i].first, expected[i].first);
    EXPECT_NEAR(regions[i].second, expected[i].second, 1e-12);
  }
  Mask kept = mask;
  remove_small_regions(kept, min_area);
  EXPECT_EQ(kept.pixels, large.pixels);
}

TEST(Regions, AreThoseOfAFlood) {
  uint32_t seed = 0;
  for (const auto& [height, width] : std::vector<std::pair<int64_t, int64_t>>{
           {1, 1}, {1, 40}, {40, 1}, {2, 2}, {2, 31}, {3, 3}, {17, 23}, {64, 50}}) {
    for (const double density : {0.0, 0.05, 0.2, 0.35, 0.5, 0.8, 1.0}) {
      for (const int64_t min_area : {1, 2, 7}) {
        SCOPED_TRACE(testing::Message() << height << "x" << width << ", density " << density
                                        << ", min_area " << min_area);
        expect_as_flooded(random_mask(height, width, density, ++seed), min_area);
      }
    }
  }
}

TEST(Regions, OfThreeByFourPixelsAreAllRight) {
  for (uint32_t bits = 0; bits < 4096; ++bits) {
    Mask mask(3, 4);
    for (size_t i = 0; i < 12; ++i) mask.pixels[i] = bits >> i & 1;
    expect_as_flooded(mask, 1);
    if (HasFailure()) FAIL() << "with the pixels " << bits;
  }
}

TEST(Regions, KnowBoxAreaConfidenceAndOrder) {
  const Mask mask = drawn({"##...#",  //
                           ".....#",  //
                           "#.....",  //
                           ".#.#..",  //
                           "#...##"});
  std::vector<float> probabilities(30);
  std::iota(probabilities.begin(), probabilities.end(), 0.0f);
  const std::vector<Region> regions = fettle::regions_of(mask, probabilities.data(), 1);
  ASSERT_EQ(regions.size(), 4u);
  const auto expect = [&](size_t i, const std::array<int64_t, 5>& box_and_area, double mean) {
    const Region& r = regions[i];
    EXPECT_EQ((std::array{r.x, r.y, r.width, r.height, r.area}), box_and_area) << i;
    EXPECT_DOUBLE_EQ(r.confidence, mean) << i;
  };
  expect(0, {0, 2, 2, 3, 3}, (12 + 19 + 24) / 3.0);  // touch over corners
  expect(1, {3, 3, 3, 2, 3}, (21 + 28 + 29) / 3.0);
  expect(2, {0, 0, 2, 1, 2}, 0.5);
  expect(3, {5, 0, 1, 2, 2}, 8);
}

TEST(Regions, DoNotWrapAroundTheBorders) {
  EXPECT_EQ(regions_of(drawn({"..#",  //
                              "#..",  //
                              "..#"}))
                .size(),
            3u);
}

// Two arms around each other, met only as the rows go on.
TEST(Regions, FollowSpirals) {
  const Mask one = drawn({"#########",  //
                          "........#",  //
                          "#######.#",  //
                          "#.....#.#",  //
                          "#.###.#.#",  //
                          "#.#...#.#",  //
                          "#.#####.#",  //
                          "#.......#",  //
                          "#########"});
  ASSERT_EQ(regions_of(one).size(), 1u);
  EXPECT_EQ(regions_of(one)[0].area, std::count(one.pixels.begin(), one.pixels.end(), 1));
  const Mask two = drawn({"###########",  //
                          "#.........#",  //
                          "#.#######.#",  //
                          "#.#.....#.#",  //
                          "#.#.###.#.#",  //
                          "#.#...#.#.#",  //
                          "#.#####.#.#",  //
                          "#.......#.#",  //
                          "#########.#"});
  EXPECT_EQ(regions_of(two).size(), 1u);
  Mask cut = two;
  cut.at(0, 5) = 0;
  EXPECT_EQ(regions_of(cut).size(), 2u);
}

TEST(Regions, OfAWideCombHangTogetherAtItsEnd) {
  Mask comb(600, 2001);
  for (int64_t y = 0; y < comb.height; ++y) {
    for (int64_t x = 0; x < comb.width; x += 2) comb.at(y, x) = 1;
  }
  EXPECT_EQ(regions_of(comb).size(), 1001u);
  for (int64_t x = 0; x < comb.width; ++x) comb.at(comb.height - 1, x) = 1;
  ASSERT_EQ(regions_of(comb).size(), 1u);
  EXPECT_EQ(regions_of(comb)[0].area, 599 * 1001 + 2001);
}

TEST(Regions, OfNothingAreNone) {
  EXPECT_TRUE(regions_of(Mask()).empty());
  EXPECT_TRUE(regions_of(Mask(0, 5)).empty());
  EXPECT_TRUE(regions_of(Mask(5, 0)).empty());
  EXPECT_TRUE(regions_of(Mask(5, 5)).empty());
}

}  // namespace
}  // namespace fettle
