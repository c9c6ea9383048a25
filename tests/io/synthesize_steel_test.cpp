#include "io/synthesize_steel.h"

#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <set>

#include "io/csv.h"
#include "io/read_file.h"
#include "io/steel_picture.h"
#include "kernels/parallel.h"
#include "tests/io/temporary_folder.h"

namespace fettle {
namespace {

using Kinds = std::array<bool, steel_kinds>;

int64_t area(const Mask& mask) {
  return std::accumulate(mask.pixels.begin(), mask.pixels.end(), int64_t{0});
}

// By which kinds a pixel is covered, as bits.
int covered_by(const SteelPicture& steel, size_t pixel) {
  int kinds = 0;
  for (int kind = 0; kind < steel_kinds; ++kind) kinds |= steel.masks[kind].pixels[pixel] << kind;
  return kinds;
}

// The same sheet with and without its defects: they are all that differs, and their masks are where
// they do. A pixel is rounded after the noise, hence the grey level more or less.
TEST(DrawSteel, MasksAreWhereTheDefectsAre) {
  for (const auto& [height, width] : {std::pair{256, 1600}, {64, 400}, {96, 192}}) {
    for (uint32_t picture = 0; picture < 40; ++picture) {
      Kinds kinds{};
      kinds[picture % 4] = true;
      if (picture >= 20) kinds[picture / 4 % 4] = true;
      if (picture >= 36) kinds.fill(true);
      const SteelPicture good = draw_steel({5, picture}, height, width, {});
      const SteelPicture faulty = draw_steel({5, picture}, height, width, kinds);
      int64_t wrong = 0, inside = 0, overlapping = 0;
      double difference = 0;
      for (size_t i = 0; i < good.picture.pixels.size(); ++i) {
        const int covered = covered_by(faulty, i);
        const int change = std::abs(faulty.picture.pixels[i] - good.picture.pixels[i]);
        wrong += covered ? change < steel_visible_change - 1 : change > steel_visible_change + 1;
        overlapping += (covered & (covered - 1)) != 0;
        inside += covered != 0;
        difference += covered ? change : 0;
      }
      EXPECT_EQ(wrong, 0) << picture << " of " << height << "x" << width;
      EXPECT_EQ(overlapping, 0) << picture;
      EXPECT_GT(difference, 20.0 * static_cast<double>(inside)) << picture;
      for (int kind = 0; kind < steel_kinds; ++kind) {
        EXPECT_EQ(area(good.masks[kind]), 0);
        const int64_t covered = area(faulty.masks[kind]);
        EXPECT_EQ(covered > 0, kinds[kind]);
        EXPECT_TRUE(covered == 0 || covered * 256 * 256 > 150 * height * height)
            << covered << " pixels of kind " << kind + 1 << " in " << picture;
      }
    }
  }
}

// What surrounds a defect must not betray it: the pixels of good sheets outside masks are those of
// faulty ones, most of them to the bit.
TEST(DrawSteel, ADefectChangesNothingElse) {
  const SteelPicture good = draw_steel({1, 2}, 128, 800, {});
  for (int kind = 0; kind < steel_kinds; ++kind) {
    Kinds kinds{};
    kinds[kind] = true;
    const SteelPicture faulty = draw_steel({1, 2}, 128, 800, kinds);
    int64_t changed = 0;
    for (size_t i = 0; i < good.picture.pixels.size(); ++i)
      changed += good.picture.pixels[i] != faulty.picture.pixels[i];
    EXPECT_GE(changed, area(faulty.masks[kind]));
    EXPECT_LT(changed, area(faulty.masks[kind]) * 3 / 2);  // edges are smooth over a pixel or two
  }
}

// Pixels of a picture less its mean, in units of its deviation: what a model is fed.
std::vector<double> standardised(const Picture& picture) {
  const auto count = static_cast<double>(picture.pixels.size());
  double mean = 0, variance = 0;
  for (const uint8_t grey : picture.pixels) mean += grey / count;
  for (const uint8_t grey : picture.pixels) variance += (grey - mean) * (grey - mean) / count;
  std::vector<double> values;
  for (const uint8_t grey : picture.pixels) values.push_back((grey - mean) / std::sqrt(variance));
  return values;
}

// Otherwise a model could pass without looking at shapes: take the best of all thresholds, for
// what is darker, for what is lighter and for both.
TEST(DrawSteel, NoThresholdOnBrightnessFindsDefects) {
  constexpr int steps = 40;
  std::array<std::array<double, steps>, 3> hits{}, claims{};
  double truth = 0;
  for (uint32_t picture = 0; picture < 100; ++picture) {
    Kinds kinds{};
    if (picture % 2 == 1) kinds[picture / 2 % 4] = true;
    const SteelPicture steel = draw_steel({3, picture}, 64, 400, kinds);
    const std::vector<double> values = standardised(steel.picture);
    for (size_t i = 0; i < values.size(); ++i) {
      const bool defect = covered_by(steel, i) != 0;
      truth += defect;
      for (int step = 0; step < steps; ++step) {
        const double limit = 0.1 * (step + 1);
        const bool dark = values[i]<-limit, light = values[i]> limit;
        const std::array<bool, 3> claim = {dark, light, dark || light};
        for (int way = 0; way < 3; ++way) {
          claims[way][step] += claim[way];
          hits[way][step] += claim[way] && defect;
        }
      }
    }
  }
  double best_dice = 0;
  for (int way = 0; way < 3; ++way)
    for (int step = 0; step < steps; ++step)
      best_dice = std::max(best_dice, 2 * hits[way][step] / (claims[way][step] + truth));
  EXPECT_LT(best_dice, 0.5);
}

TEST(DrawSteel, OtherSizesAreRefused) {
  for (const auto& [height, width] : {std::pair{31, 400}, {64, 63}, {64, 8193}})
    expect_error([&] { draw_steel({}, height, width, {}); },
                 {cat("not ", height, "x", width), "at least 32 pixels high"});
}

// The rows of train.csv.
struct Table {
  std::map<std::string, std::set<int>> kinds_of;
  std::map<int, int> rows;  // of each kind
  int count = 0;
};

Table read_table(const std::string& path, int64_t height, int64_t width) {
  Table table;
  const std::vector<CsvLine> lines = read_csv(path);
  EXPECT_EQ(lines.at(0).fields, (std::vector<std::string>{"ImageId", "ClassId", "EncodedPixels"}));
  std::map<std::string, Mask> all;
  for (size_t i = 1; i < lines.size(); ++i) {
    const std::string& image = lines[i].fields.at(0);
    const int kind = std::stoi(lines[i].fields.at(1));
    EXPECT_TRUE(kind >= 1 && kind <= 4) << kind;
    EXPECT_TRUE(table.kinds_of[image].insert(kind).second) << image << " has two rows of a kind";
    ++table.rows[kind];
    ++table.count;
    Mask mask(height, width), &others = all.try_emplace(image, height, width).first->second;
    add_run_lengths(lines[i].fields.at(2), mask);
    EXPECT_GT(area(mask), 0) << image;
    for (size_t pixel = 0; pixel < mask.pixels.size(); ++pixel) {
      EXPECT_FALSE(mask.pixels[pixel] && others.pixels[pixel]) << image << " overlaps";
      others.pixels[pixel] |= mask.pixels[pixel];
    }
  }
  return table;
}

TEST(SynthesizeSteel, DealsTheKindsAsSeverstalDoes) {
  const TemporaryFolder folder;
  synthesize_steel(folder.path(), {.count = 200, .height = 32, .width = 160, .seed = 4});
  const Table table = read_table(folder / "train.csv", 32, 160);
  // 106 faulty, 7 of them (106 * 427 / 6666) with two kinds: 113 rows, shared out by
  // 897 : 247 : 5150 : 801, that is 14.29, 3.93, 82.02, 12.76.
  EXPECT_EQ(table.kinds_of.size(), 106u);
  EXPECT_EQ(table.rows, (std::map<int, int>{{1, 14}, {2, 4}, {3, 82}, {4, 13}}));
  int good = 0, good_in_first_half = 0;
  for (int number = 1; number <= 200; ++number) {
    const std::string digits = std::to_string(number);
    const std::string name = std::string(6 - digits.size(), '0') + digits + ".jpg";
    const Picture picture = read_picture(folder / ("train_images/" + name), 1);
    EXPECT_TRUE(picture.height == 32 && picture.width == 160) << name;
    good += !table.kinds_of.contains(name);
    if (number == 100) good_in_first_half = good;
  }
  EXPECT_EQ(good, 94);
  EXPECT_NEAR(good_in_first_half, 47, 15) << "not shuffled";
  EXPECT_FALSE(std::filesystem::exists(folder / "train_images/000201.jpg"));
}

TEST(SynthesizeSteel, EveryKindOccursInTwentyPictures) {
  for (uint64_t seed = 0; seed < 5; ++seed) {
    const TemporaryFolder folder;
    synthesize_steel(folder.path(), {.count = 20, .height = 32, .width = 128, .seed = seed});
    const Table table = read_table(folder / "train.csv", 32, 128);
    EXPECT_EQ(table.kinds_of.size(), 11u);
    EXPECT_EQ(table.rows, (std::map<int, int>{{1, 2}, {2, 1}, {3, 8}, {4, 1}}));
  }
}

TEST(SynthesizeSteel, AnyShareOfGoodSheetsCanBeAskedFor) {
  for (const auto& [share, faulty] : {std::pair{0.0, 9u}, {0.5, 4u}, {0.9, 1u}, {1.0, 0u}}) {
    const TemporaryFolder folder;
    synthesize_steel(folder.path(),
                     {.count = 9, .good_share = share, .height = 32, .width = 96, .seed = 1});
    EXPECT_EQ(read_table(folder / "train.csv", 32, 96).kinds_of.size(), faulty) << share;
  }
}

TEST(SynthesizeSteel, MasksInTheTableAreThoseDrawn) {
  const TemporaryFolder folder;
  synthesize_steel(folder.path(), {.count = 1, .good_share = 0, .height = 64, .width = 320});
  const std::vector<CsvLine> lines = read_csv(folder / "train.csv");
  ASSERT_EQ(lines.size(), 2u);
  Mask read(64, 320);
  add_run_lengths(lines[1].fields.at(2), read);
  Kinds kinds{};
  const int kind = std::stoi(lines[1].fields.at(1)) - 1;
  kinds.at(kind) = true;
  const SteelPicture drawn = draw_steel({}, 64, 320, kinds);
  EXPECT_EQ(read.pixels, drawn.masks[kind].pixels);
  const Picture picture = read_picture(folder / "train_images/000001.jpg", 1);
  double difference = 0;
  for (size_t i = 0; i < picture.pixels.size(); ++i)
    difference += std::abs(picture.pixels[i] - drawn.picture.pixels[i]);
  EXPECT_LT(difference / static_cast<double>(picture.pixels.size()), 3) << "more than JPEG loses";
}

TEST(SynthesizeSteel, TheSeedAloneDecides) {
  const TemporaryFolder a, b, c;
  const int before = threads();
  const auto options = [](uint64_t seed) {
    return SyntheticSteelOptions{.count = 10, .height = 48, .width = 200, .seed = seed};
  };
  set_threads(1);
  synthesize_steel(a.path(), options(7));
  set_threads(3);
  synthesize_steel(b.path(), options(7));
  synthesize_steel(c.path(), options(8));
  set_threads(before);
  for (const char* name : {"train_images/000002.jpg", "train_images/000010.jpg", "train.csv"}) {
    EXPECT_EQ(read_file(a / name), read_file(b / name)) << name;
    EXPECT_NE(read_file(a / name), read_file(c / name)) << name;
  }
}

TEST(SynthesizeSteel, BadOptionsAreRefusedBeforeAnythingIsWritten) {
  const TemporaryFolder folder;
  const auto refused = [&](const SyntheticSteelOptions& options, const std::string& message) {
    expect_error([&] { synthesize_steel(folder.path() + "/new", options); }, {message});
    EXPECT_FALSE(std::filesystem::exists(folder.path() + "/new"));
  };
  refused({.count = 0}, "not 0");
  refused({.count = -3}, "not -3");
  refused({.good_share = 1.5}, "not 1.5");
  refused({.good_share = std::numeric_limits<double>::quiet_NaN()}, "between 0 and 1");
  refused({.height = 16}, "16x1600");
  refused({.height = 256, .width = 255}, "256x255");
  refused({.width = int64_t{1} << 40}, "at most 8192 wide");
}

TEST(SynthesizeSteel, AnUnwritablePlaceIsNamed) {
  const TemporaryFolder folder;
  const SyntheticSteelOptions options{.count = 1, .height = 32, .width = 64};
  write_bytes(folder / "file", "");
  expect_error([&] { synthesize_steel(folder / "file", options); },
               {"/file/train_images", "cannot make"});
  std::filesystem::create_directories(folder / "taken/train_images/000001.jpg/in the way");
  expect_error([&] { synthesize_steel(folder / "taken", options); }, {"000001.jpg"});
}

}  // namespace
}  // namespace fettle
