#include "io/overlay.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "tests/io/pictures.h"
#include "tests/io/temporary_folder.h"

namespace fettle {
namespace {

Colour colour_at(const Picture& picture, int64_t y, int64_t x) {
  const uint8_t* pixel = &picture.pixels[static_cast<size_t>((y * picture.width + x) * 3)];
  return {pixel[0], pixel[1], pixel[2]};
}

Mask full_mask(int64_t height, int64_t width) {
  Mask mask(height, width);
  std::fill(mask.pixels.begin(), mask.pixels.end(), uint8_t{1});
  return mask;
}

// A few random rectangles, some at the borders.
Mask blocks(int64_t height, int64_t width, uint32_t seed) {
  std::mt19937 random(seed);
  Mask mask(height, width);
  for (int i = 0; i < 6; ++i) {
    const int64_t top = random() % height, left = random() % width;
    const int64_t bottom = std::min<int64_t>(height, top + 1 + random() % 5);
    const int64_t right = std::min<int64_t>(width, left + 1 + random() % 9);
    for (int64_t y = top; y < bottom; ++y) {
      for (int64_t x = left; x < right; ++x) mask.at(y, x) = 1;
    }
  }
  return mask;
}

// Within `distance` rows and columns of the mask.
bool is_near(const Mask& mask, int64_t row, int64_t column, int64_t distance) {
  for (int64_t y = row - distance; y <= row + distance; ++y) {
    for (int64_t x = column - distance; x <= column + distance; ++x) {
      if (y >= 0 && x >= 0 && y < mask.height && x < mask.width && mask.at(y, x)) return true;
    }
  }
  return false;
}

// The picture's corner of the overlay, pixel by pixel as the header says; gives the number of
// pixels that stay as they are.
int64_t expect_definition(const Picture& picture, const std::vector<OverlayKind>& kinds,
                          int64_t thickness) {
  const Picture overlay = draw_overlay(picture, kinds, "title");
  int64_t untouched = 0;
  for (int64_t y = 0; y < picture.height; ++y) {
    for (int64_t x = 0; x < picture.width; ++x) {
      const size_t pixel = static_cast<size_t>(y * picture.width + x);
      Colour expected;
      for (size_t c = 0; c < 3; ++c) {
        expected[c] = picture.pixels[picture.channels == 1 ? pixel : pixel * 3 + c];
      }
      const Colour before = expected;
      for (size_t k = 0; k < kinds.size(); ++k) {
        if (!kinds[k].mask.at(y, x)) continue;
        for (size_t c = 0; c < 3; ++c) {
          const double mixed = 0.6 * expected[c] + 0.4 * overlay_colour(k)[c];
          expected[c] = static_cast<uint8_t>(std::lround(mixed));
        }
      }
      for (size_t k = 0; k < kinds.size(); ++k) {
        const Mask& mask = kinds[k].mask;
        if (!mask.at(y, x) && is_near(mask, y, x, thickness)) expected = overlay_colour(k);
      }
      EXPECT_EQ(colour_at(overlay, y, x), expected) << "at row " << y << ", column " << x;
      untouched += expected == before;
    }
  }
  return untouched;
}

// What lies under the first `picture_height` rows, [height,width] of colours.
std::vector<std::vector<Colour>> strip_of(const Picture& overlay, int picture_height) {
  std::vector<std::vector<Colour>> rows;
  for (int64_t y = picture_height; y < overlay.height; ++y) {
    rows.emplace_back();
    for (int64_t x = 0; x < overlay.width; ++x) rows.back().push_back(colour_at(overlay, y, x));
  }
  return rows;
}

std::vector<std::vector<Colour>> strip_of_title(const std::string& title) {
  return strip_of(draw_overlay(made_picture(4, 4), {}, title), 4);
}

int64_t count(const std::vector<std::vector<Colour>>& strip, Colour colour) {
  int64_t sum = 0;
  for (const auto& row : strip) sum += std::count(row.begin(), row.end(), colour);
  return sum;
}

TEST(Overlay, HasThePaletteOfOkabeAndIto) {
  const std::vector<Colour> palette{{0xD5, 0x5E, 0x00}, {0x56, 0xB4, 0xE9}, {0xF0, 0xE4, 0x42},
                                    {0x00, 0x9E, 0x73}, {0xCC, 0x79, 0xA7}, {0xE6, 0x9F, 0x00},
                                    {0x00, 0x72, 0xB2}};
  for (size_t i = 0; i < 15; ++i) EXPECT_EQ(overlay_colour(i), palette[i % 7]) << i;
}

TEST(Overlay, BlendsMasksAndFramesThem) {
  for (const int channels : {1, 3}) {
    for (uint32_t seed = 0; seed < 8; ++seed) {
      const Picture picture = made_picture(24, 37, channels);
      const int64_t untouched = expect_definition(
          picture, {{"a", blocks(24, 37, seed), ""}, {"b", blocks(24, 37, seed + 100), ""}}, 1);
      EXPECT_GT(untouched, 100);
    }
  }
}

TEST(Overlay, FramesLargePicturesWithTwoPixels) {
  EXPECT_GT(expect_definition(made_picture(12, 1001), {{"a", blocks(12, 1001, 1), ""}}, 2), 9000);
  expect_definition(made_picture(12, 1000), {{"a", blocks(12, 1000, 1), ""}}, 1);
}

TEST(Overlay, StandsMasksThatFillThePicture) {
  for (const auto& [height, width] : {std::pair{1, 1}, {1, 9}, {9, 1}, {6, 7}}) {
    expect_definition(made_picture(height, width), {{"a", full_mask(height, width), ""}}, 1);
    Mask dot(height, width);
    dot.at(height - 1, width - 1) = 1;
    expect_definition(made_picture(height, width, 1), {{"a", dot, ""}}, 1);
  }
}

TEST(Overlay, OfNothingIsThePictureAsRgb) {
  const Picture grey = made_picture(5, 6, 1), rgb = made_picture(5, 6, 3);
  EXPECT_EQ(draw_overlay(rgb, {}, "").pixels, rgb.pixels);
  const Picture overlay = draw_overlay(grey, {{"a", Mask(5, 6), "absent"}}, "");
  ASSERT_EQ(overlay.pixels.size(), rgb.pixels.size());
  for (size_t i = 0; i < overlay.pixels.size(); ++i) {
    EXPECT_EQ(overlay.pixels[i], grey.pixels[i / 3]);
  }
}

TEST(Overlay, HasALineForTheTitleAndEachKindThatIsPresent) {
  const Mask none(4, 400), all = full_mask(4, 400);
  const auto strip = [](const std::vector<OverlayKind>& kinds) {
    return strip_of(draw_overlay(made_picture(4, 400), kinds, "title"), 4);
  };
  const auto title = strip({}), one = strip({{"a", none, "x"}, {"b", all, "y"}}),
             two = strip({{"a", all, "x"}, {"b", none, "y"}, {"c", all, "z"}});
  EXPECT_EQ(one.size() - title.size(), two.size() - one.size());
  EXPECT_GT(one.size(), title.size());
  const auto swatches = [](const auto& rows) {
    return std::vector{count(rows, overlay_colour(0)), count(rows, overlay_colour(1)),
                       count(rows, overlay_colour(2))};
  };
  EXPECT_EQ(swatches(title), (std::vector<int64_t>{0, 0, 0}));
  EXPECT_EQ(swatches(one), (std::vector<int64_t>{0, 81, 0}));
  EXPECT_EQ(swatches(two), (std::vector<int64_t>{81, 0, 81}));
  EXPECT_NE(strip({{"a", all, "x"}}), strip({{"b", all, "x"}}));
  EXPECT_NE(strip({{"a", all, "x"}}), strip({{"a", all, "y"}}));
}

TEST(Overlay, WidensTheCanvasOfANarrowPictureAndKeepsTextOffItsEdges) {
  const std::string longish(30, 'g');
  const Picture picture = made_picture(20, 8);
  const Picture overlay =
      draw_overlay(picture, {{longish, full_mask(20, 8), "Qj|y"}}, "Wy|" + longish);
  EXPECT_GT(overlay.width, 8);
  EXPECT_LE(overlay.width, 320);
  const auto strip = strip_of(overlay, 20);
  const Colour background = strip[0][0];
  for (int64_t y = 0; y < 20; ++y) {
    for (int64_t x = 8; x < overlay.width; ++x) {
      ASSERT_EQ(colour_at(overlay, y, x), background);
    }
  }
  int64_t drawn = 0;
  for (size_t y = 0; y < strip.size(); ++y) {
    for (size_t x = 0; x < strip[y].size(); ++x) {
      if (strip[y][x] == background) continue;
      ++drawn;
      EXPECT_TRUE(y >= 3 && y + 3 < strip.size() && x >= 6 && x + 6 < strip[y].size())
          << "row " << y << ", column " << x << " of the strip";
    }
  }
  EXPECT_GT(drawn, 81 + 60 * 10);
}

TEST(Overlay, WritesWithWholeFactors) {
  const auto small = strip_of_title("Aa09 ~!");
  const auto large = strip_of(draw_overlay(made_picture(3, 1400), {}, "Aa09 ~!"), 3);
  ASSERT_EQ(large.size(), 2 * small.size());
  for (size_t y = 0; y < large.size(); ++y) {
    for (size_t x = 0; x < 2 * small[0].size(); ++x) {
      EXPECT_EQ(large[y][x], small[y / 2][x / 2]);
    }
  }
}

// The capital letter L, as the font has it.
TEST(Overlay, WritesLetters) {
  const auto strip = strip_of_title("L");
  std::string drawn;
  for (const auto& row : strip) {
    for (const Colour& colour : row) drawn += colour == strip[0][0] ? '.' : '#';
    drawn += '\n';
  }
  std::string expected;
  for (const char* row :
       {"......", "#.....", "#.....", "#.....", "#.....", "#.....", "#.....", "####..", "......"}) {
    expected += cat("......", row, "......\n");
  }
  EXPECT_NE(drawn.find(expected), std::string::npos) << drawn;
}

TEST(Overlay, WritesOtherCharactersAsQuestionMarks) {
  EXPECT_EQ(strip_of_title("\xC3\x96lfleck \xE6\x97\xA5\n\x7F"), strip_of_title("?lfleck ???"));
  EXPECT_NE(strip_of_title("?"), strip_of_title("!"));
}

TEST(Overlay, CutsTextsThatAreTooLong) {
  const std::string text(2000, 'x');
  const auto strip = strip_of_title(text);
  EXPECT_LE(strip[0].size(), 320u);
  bool found = false;
  for (size_t letters = 30; letters < 60; ++letters) {
    found = found || strip == strip_of_title(text.substr(0, letters) + "...");
  }
  EXPECT_TRUE(found);
  const Picture overlay = draw_overlay(made_picture(4, 4), {{text, full_mask(4, 4), text}}, text);
  EXPECT_LE(overlay.width, 320);
}

TEST(Overlay, SharesALineBetweenNameAndNote) {
  const std::string text(2000, 'x');
  // The columns in which the legend of one kind, 320 wide, has any text.
  const auto written = [&](const std::string& name, const std::string& note) {
    const auto strip =
        strip_of(draw_overlay(plain_picture(4, 320, 0), {{name, full_mask(4, 320), note}}, ""), 4);
    std::vector<int64_t> columns;
    for (size_t x = 0; x < 320; ++x) {
      const auto is_drawn = [&](const auto& row) { return row[x] != row[0]; };
      if (x >= 20 && std::any_of(strip.begin(), strip.end(), is_drawn)) {
        columns.push_back(static_cast<int64_t>(x));
      }
    }
    return columns;
  };
  const auto between = [](const std::vector<int64_t>& columns, int64_t from, int64_t to) {
    return std::count_if(columns.begin(), columns.end(),
                         [&](int64_t x) { return x >= from && x < to; });
  };
  const auto both = written(text, text), name = written(text, ""), short_name = written("x", text);
  EXPECT_GT(between(both, 100, 161), 30);
  EXPECT_EQ(between(both, 162, 172), 0);
  EXPECT_GT(between(both, 173, 314), 90);
  EXPECT_GT(between(name, 100, 290), 120);
  EXPECT_GT(between(short_name, 40, 300), 160);
}

TEST(Overlay, RefusesWhatDoesNotFit) {
  expect_error(
      [] {
        draw_overlay(made_picture(4, 5), {{"rust", Mask(5, 4), ""}}, "");
      },
      {"'rust'", "5x4", "4x5"});
  expect_error([] { draw_overlay(made_picture(4, 5, 2), {}, ""); }, {"1 or 3 channels"});
  const Picture thin{1, 20'000'000, 1, std::vector<uint8_t>(20'000'000)};
  expect_error([&] { draw_overlay(thin, {}, "title"); }, {"1x20000000", "cut it up"});
}

}  // namespace
}  // namespace fettle
