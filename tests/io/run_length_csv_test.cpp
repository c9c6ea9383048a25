#include "io/run_length_csv.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "tests/io/temporary_folder.h"

namespace fettle {
namespace {

std::string text_of(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST(RunLengthCsv, IsSeverstalsForm) {
  const TemporaryFolder folder;
  Mask mask(3, 4);
  add_run_lengths("2 2 7 3", mask);
  RunLengthCsv csv(folder / "masks.csv");
  csv.add("0002cc93b.jpg", 1, mask);
  csv.add("0002cc93b.jpg", 2, Mask(3, 4));
  csv.add("a, \"b\".png", 1, mask);
  csv.finish();
  EXPECT_EQ(text_of(folder / "masks.csv"),
            "ImageId_ClassId,EncodedPixels\n"
            "0002cc93b.jpg_1,2 2 7 3\n"
            "0002cc93b.jpg_2,\n"
            "\"a, \"\"b\"\".png_1\",2 2 7 3\n");
}

TEST(RunLengthCsv, ReadsBackAsTheSameMasks) {
  const TemporaryFolder folder;
  std::mt19937 random(11);
  std::vector<Mask> masks;
  RunLengthCsv csv(folder / "masks.csv");
  for (unsigned i = 0; i < 40; ++i) {
    masks.emplace_back(5 + i, 31 - i / 2);
    for (uint8_t& pixel : masks.back().pixels) pixel = random() % 8 < i % 9;
    csv.add(cat("picture_", i / 4), i % 4 + 1, masks.back());
  }
  csv.finish();

  std::istringstream lines(text_of(folder / "masks.csv"));
  std::string line;
  std::getline(lines, line);
  for (size_t i = 0; i < masks.size(); ++i) {
    ASSERT_TRUE(std::getline(lines, line));
    const size_t comma = line.find(',');
    EXPECT_EQ(line.substr(0, comma), cat("picture_", i / 4, "_", i % 4 + 1));
    Mask back(masks[i].height, masks[i].width);
    add_run_lengths(line.substr(comma + 1), back);
    EXPECT_EQ(back.pixels, masks[i].pixels) << i;
  }
  EXPECT_FALSE(std::getline(lines, line));
}

TEST(RunLengthCsv, IsThereOnlyWhenFinished) {
  const TemporaryFolder folder;
  {
    RunLengthCsv csv(folder / "masks.csv");
    csv.add("a.png", 1, Mask(3, 4));
    EXPECT_FALSE(std::filesystem::exists(folder / "masks.csv"));
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(RunLengthCsv, RefusesWhatItCannotWrite) {
  const TemporaryFolder folder;
  RunLengthCsv csv(folder / "masks.csv");
  expect_error([&] { csv.add("a.png", 0, Mask(3, 4)); }, {"'a.png'", "kind 0", "from 1"});
  const std::string missing = folder.path() + "/missing/masks.csv";
  expect_error([&] { RunLengthCsv unwritable(missing); }, {missing, "cannot be created"});
}

}  // namespace
}  // namespace fettle
