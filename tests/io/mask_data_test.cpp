#include "io/data_sets/mask_data.h"

#include <algorithm>
#include <numeric>

#include "io/mask_file.h"
#include "tests/io/pictures.h"
#include "tests/io/temporary_folder.h"

namespace fettle {
namespace {

class MaskDataTest : public testing::Test {
 protected:
  void picture(const std::string& name, int height = 4, int width = 5) {
    write_png(folder_ / name, made_picture(height, width, 3, salt_++));
  }
  /// A grey mask that is `value` in the given pixels.
  void mask(const std::string& name, const std::vector<size_t>& pixels, uint8_t value = 255,
            int height = 4, int width = 5) {
    Picture mask{height, width, 1, std::vector<uint8_t>(static_cast<size_t>(height * width))};
    for (const size_t pixel : pixels) mask.pixels[pixel] = value;
    write_png(folder_ / name, mask);
  }
  void text(const std::string& name, const std::string& content) {
    write_bytes(folder_ / name, content);
  }
  MaskData read(const MaskDataOptions& options = {}) const {
    const auto [found, format] = mask_format_of(folder_.path());
    require(found, "no format was recognised");
    return read_mask_data(folder_.path(), format, options);
  }
  MaskFormat format() const {
    const auto [found, format] = mask_format_of(folder_.path());
    EXPECT_TRUE(found);
    return format;
  }
  void expect_refusal(const std::vector<std::string>& parts) const {
    expect_error([&] { read(); }, parts);
  }
  /// "name: set pixels of kind 0 | of kind 1 | ..." of every picture.
  static std::vector<std::string> lines(const MaskData& data) {
    std::vector<std::string> lines;
    for (const MaskedPicture& picture : data.pictures) {
      std::string line = std::filesystem::path(picture.path).filename().string() + ":";
      const std::vector<Mask> masks = masks_of(data, picture);
      for (size_t k = 0; k < masks.size(); ++k) {
        if (k > 0) line += " |";
        int64_t count = 0;
        for (size_t i = 0; i < masks[k].pixels.size(); ++i) {
          if (!masks[k].pixels[i]) continue;
          line += cat(" ", i);
          ++count;
        }
        EXPECT_EQ(picture.pixels[k], count) << picture.path;
      }
      lines.push_back(line);
    }
    return lines;
  }
  static bool has_note(const MaskData& data, const std::string& part) {
    return std::any_of(data.notes.begin(), data.notes.end(),
                       [&](const std::string& note) { return note.find(part) != note.npos; });
  }

  TemporaryFolder folder_;
  int salt_ = 0;
};

using Lines = std::vector<std::string>;

// Severstal.

TEST_F(MaskDataTest, SeverstalMergesTheRowsOfAPictureAndKnowsGoodOnes) {
  for (const char* name : {"a.png", "b.png", "c.png"}) picture(name);
  text("train.csv",
       "ImageId,ClassId,EncodedPixels\n"
       "b.png,3,1 2 6 1\n"
       "a.png,1,5 1\n"
       "b.png,1,20 1\n"
       "b.png,3,9 1\n");
  EXPECT_EQ(format(), MaskFormat::severstal);
  const MaskData data = read();
  EXPECT_EQ(data.kinds, (Lines{"1", "3"}));
  // Pixels are counted down the columns of 4: number 5 is the top of the second column.
  EXPECT_EQ(lines(data), (Lines{"a.png: 1 |", "b.png: 19 | 0 2 5 6", "c.png: |"}));
  const std::vector<Example> examples = good_or_defective(data);
  EXPECT_EQ(examples[0].label + examples[1].label, 2);
  EXPECT_EQ(examples[2].label, 0);
  EXPECT_NE(description(data).find("3 pictures, 1 of them without a defect"), std::string::npos)
      << description(data);
  EXPECT_NE(description(data).find("kind 3: 1 picture, 4 pixels"), std::string::npos)
      << description(data);
}

TEST_F(MaskDataTest, SeverstalReadsTheJoinedFormTheOtherOriginAndTheFolderOfPictures) {
  picture("train_images/a.png");
  picture("train_images/b.png");
  text("train.csv",
       "\xEF\xBB\xBFImageId_ClassId,EncodedPixels\r\n"
       "a.png_1,0 2\r\na.png_2,\r\nb.png_1,\r\nb.png_2,19 1\r\n");
  EXPECT_EQ(lines(read({.run_length_origin = 0})), (Lines{"a.png: 0 5 |", "b.png: | 19"}));
  expect_refusal({"train.csv', line 2 (a.png, kind 1)", "0"});
}

TEST_F(MaskDataTest, SeverstalTakesOnlyListedPicturesForGoodWhereThereIsAList) {
  for (const char* name : {"a.png", "b.png", "c.png"}) picture(name);
  text("train.csv", "ImageId,ClassId,EncodedPixels\na.png,1,5 1\n");
  text("list.csv", "ImageID,label\na.png,1\nb.png,0\nb.png,0\n");
  const MaskData data = read();
  EXPECT_EQ(lines(data), (Lines{"a.png: 1", "b.png:"}));
  EXPECT_TRUE(has_note(data, "1 picture neither in the table nor listed as good"));
  text("list.csv", "ImageID,label\na.png,0\n");
  expect_refusal({"'a.png' is listed as good, but has defects in", "train.csv"});
}

TEST_F(MaskDataTest, SeverstalNamesTheFileAndTheLineOfAFault) {
  picture("a.png");
  picture("b.png");
  const auto refused = [&](const std::string& table, const std::vector<std::string>& parts) {
    text("train.csv", table);
    expect_refusal(parts);
  };
  const std::string header = "ImageId,ClassId,EncodedPixels\nb.png,1,1 1\n";
  refused("ImageId,EncodedPixels\na.png,1 2\n", {"train.csv", "lacks columns", "ClassId"});
  refused(header + "a.png,1\n", {"train.csv', line 3", "2 fields"});
  refused(header + "a.png,one,1 2\n", {"train.csv', line 3", "'one'", "whole number"});
  refused(header + "a.png,0,1 2\n", {"train.csv', line 3", "ClassId '0'"});
  refused(header + "z.png,1,1 2\n", {"train.csv', line 3", "'z.png' was not found"});
  refused(header + "a.png,1,1 2 3\n", {"train.csv', line 3 (a.png, kind 1)", "hold 3 numbers"});
  refused(header + "a.png,1,1 x\n", {"train.csv', line 3 (a.png, kind 1)", "x"});
  refused(header + "a.png,1,1 21\n", {"train.csv', line 3 (a.png, kind 1)", "4x5"});
  refused(header + "a.png,1,21 1\n", {"train.csv', line 3 (a.png, kind 1)", "4x5"});
  refused(header + "a.png,1,1 3 2 2\n", {"train.csv', line 3 (a.png, kind 1)", "overlap"});
  refused(header + "a.png,1,1 0\n", {"train.csv', line 3 (a.png, kind 1)", "length"});
  refused(header + "\"a.png,1,1 2\n", {"train.csv", "quote"});
  text("train.csv", "ImageId_ClassId,EncodedPixels\nplain,1 2\n");
  expect_refusal({"train.csv', line 2", "'plain' is not of the form"});
}

TEST_F(MaskDataTest, ABrokenPictureIsNamedOrLeftOut) {
  picture("a.png");
  text("b.png", "no picture");
  text("train.csv", "ImageId,ClassId,EncodedPixels\na.png,1,5 1\n");
  expect_refusal({"b.png", "--skip-broken"});
  const MaskData data = read({.skip_broken = true});
  EXPECT_EQ(lines(data), (Lines{"a.png: 1"}));
  EXPECT_TRUE(has_note(data, "b.png"));
}

// VIA.

TEST_F(MaskDataTest, ViaFillsPolygonsByKindAndKeepsPicturesWithout) {
  picture("a.png", 8, 9);
  picture("b.png", 8, 9);
  picture("unlisted.png", 8, 9);
  text("via_region_data.json",
       R"({"a.png1": {"filename": "a.png", "regions": {
            "0": {"shape_attributes": {"name": "rect", "x": 1, "y": 1, "width": 1, "height": 1},
                  "region_attributes": {"name": "scratch"}},
            "1": {"shape_attributes": {"name": "polygon", "all_points_x": [4, 5, 4],
                                       "all_points_y": [4, 4, 5]},
                  "region_attributes": {"name": "dent"}}}},
          "b.png1": {"filename": "b.png", "regions": {}},
          "demo.png1": {"filename": "demo.png", "regions": {}}})");
  EXPECT_EQ(format(), MaskFormat::via);
  const MaskData data = read();
  EXPECT_EQ(data.kinds, (Lines{"dent", "scratch"}));
  EXPECT_EQ(lines(data), (Lines{"a.png: 40 41 49 | 10 11 19 20", "b.png: |"}));
  EXPECT_TRUE(has_note(data, "1 entry without a picture beside the file, for example demo.png"));
  EXPECT_EQ(read({.kinds = Kinds::one}).kinds, (Lines{"defect"}));
}

TEST_F(MaskDataTest, ViaNamesTheRegionOfAFault) {
  picture("a.png", 8, 9);
  const auto with_points = [&](const std::string& xs, const std::string& ys) {
    text("via_region_data.json",
         R"({"a": {"filename": "a.png", "regions": [{"shape_attributes": {"name": "polygon",
             "all_points_x": )" +
             xs + R"(, "all_points_y": )" + ys + "}}]}}");
  };
  with_points("[20, 30, 20]", "[1, 1, 5]");
  expect_refusal({"via_region_data.json', region 1 of 'a.png'", "outside the picture of 8x9"});
  with_points("[2, 3]", "[1, 1]");
  expect_refusal({"via_region_data.json': region 1 of 'a.png'", "2 points"});
  text("via_region_data.json", R"({"a": {"filename": "a.png", "regi)");
  expect_refusal({"via_region_data.json' is no whole JSON file"});
  text("via_region_data.json", R"({"b": {"filename": "b.png", "regions": {}}})");
  expect_refusal({"lies beside it: 1 entry; put", "via_region_data.json"});
}

// MVTec AD.

TEST_F(MaskDataTest, MvtecHasAKindForEachFolder) {
  picture("train/good/000.png");
  picture("test/good/000.png");
  picture("test/cut/000.png");
  picture("test/cut/001.png");  // without a mask
  picture("test/glue/000.png");
  mask("ground_truth/cut/000_mask.png", {3, 4});
  mask("ground_truth/glue/000_mask.png", {7});
  EXPECT_EQ(format(), MaskFormat::mvtec);
  const MaskData data = read();
  EXPECT_EQ(data.kinds, (Lines{"cut", "glue"}));
  EXPECT_EQ(lines(data), (Lines{"000.png: |", "000.png: |", "000.png: 3 4 |", "000.png: | 7"}));
  EXPECT_TRUE(has_note(data, "1 picture of defects without a mask"));

  mask("ground_truth/glue/005_mask.png", {7});
  expect_refusal({"005_mask.png' has no picture in", "test/glue"});
}

TEST_F(MaskDataTest, PicturesOfTheSameBytesAreThereOnceWithTheirMask) {
  for (const char* name : {"good/0.png", "test/good/0.png", "test/cut/0.png"}) {
    salt_ = 5;
    picture(name);
  }
  mask("ground_truth/cut/0_mask.png", {3});
  const MaskData data = read();
  EXPECT_EQ(lines(data), (Lines{"0.png: 3"}));
  EXPECT_NE(data.pictures[0].path.find("cut"), std::string::npos);
  EXPECT_TRUE(has_note(data, "2 pictures byte for byte the same"));
}

// Pairs.

TEST_F(MaskDataTest, PairsLieInParallelFoldersOrCarryASuffix) {
  picture("images/a.png");
  picture("images/b.png");
  mask("masks/a.png", {3});
  mask("masks/b.png", {});
  EXPECT_EQ(format(), MaskFormat::pairs);
  EXPECT_EQ(lines(read()), (Lines{"a.png: 3", "b.png:"}));

  picture("images/c.png");
  mask("masks/c_label.png", {5});
  picture("images/d.png");
  const MaskData data = read();
  EXPECT_EQ(lines(data), (Lines{"a.png: 3", "b.png:", "c.png: 5", "d.png:"}));
  EXPECT_TRUE(has_note(data, "1 picture without a mask, counted as good"));
}

TEST_F(MaskDataTest, PairsBesideEachOtherAreToldByTheirName) {
  picture("x/a.png");
  mask("x/a_mask.png", {3});
  picture("y/a.png");
  mask("y/a_mask.png", {4});
  mask("y/b_mask.png", {4});
  expect_refusal({"y/b_mask.png' has no picture"});
  picture("y/b.png");
  const MaskData data = read({.kinds = Kinds::folder});
  EXPECT_EQ(data.kinds, (Lines{"x", "y"}));
  EXPECT_EQ(lines(data), (Lines{"a.png: 3 |", "a.png: | 4", "b.png: | 4"}));
}

TEST_F(MaskDataTest, NumbersInMasksAreKindsWhenAsked) {
  picture("images/a.png");
  picture("images/b.png");
  mask("masks/a.png", {3, 4}, 2);
  mask("masks/b.png", {5}, 7);
  const MaskData data = read({.kinds = Kinds::value});
  EXPECT_EQ(data.kinds, (Lines{"2", "7"}));
  EXPECT_EQ(lines(data), (Lines{"a.png: 3 4 |", "b.png: | 5"}));
  // Else there is one kind, and numbers so small cannot be greys.
  const MaskData one = read();
  EXPECT_EQ(lines(one), (Lines{"a.png: 3 4", "b.png: 5"}));
  EXPECT_TRUE(has_note(one, "no mask has a value above 7"));
}

TEST_F(MaskDataTest, GreyMasksAreSetFromTheMiddleOn) {
  picture("images/a.png");
  picture("images/b.png");
  mask("masks/a.png", {3}, 128);
  mask("masks/b.png", {5}, 127);
  EXPECT_EQ(lines(read()), (Lines{"a.png: 3", "b.png:"}));
}

TEST_F(MaskDataTest, AMaskOfAnotherSizeIsNamedWithItsPicture) {
  picture("images/a.png");
  mask("masks/a.png", {3}, 255, 4, 6);
  expect_refusal({"masks/a.png' has 4x6 pixels", "images/a.png' 4x5"});
}

TEST_F(MaskDataTest, ThreeFilesOfOneNameAreRefused) {
  picture("images/a.png");
  picture("images/a.bmp");
  mask("masks/a.png", {3});
  picture("images/b.png");
  mask("masks/b.png", {3});
  picture("images/c.png");
  mask("masks/c.png", {3});
  expect_refusal({"3 files that may belong together", "images/a", "--format pairs"});
}

TEST_F(MaskDataTest, AFolderAboveAnnotationsOfViaSaysSo) {
  for (const char* folder : {"train/", "val/"}) {
    for (const char* name : {"a", "b"}) {
      picture(cat(folder, name, ".png"));
      picture(cat(folder, name, ".jpg"));
    }
    picture(cat(folder, "b.bmp"));
    text(cat(folder, "via_region_data.json"), R"({"a": {"filename": "a.jpg", "regions": {}}})");
  }
  expect_refusal({"--format pairs", "annotations of VIA in '" + folder_.path() + "/train'"});
}

TEST_F(MaskDataTest, DamagedAnnotationsOfViaAreNamed) {
  picture("a.jpg");
  const auto read_as_via = [&] { read_mask_data(folder_.path(), MaskFormat::via); };
  text("x.json", R"({"a.jpg": {"filename": "a.j)");
  expect_error(read_as_via, {"x.json", "no whole JSON file", "export it again"});
  text("x.json", "{}");
  expect_error(read_as_via, {folder_.path(), "no JSON file of annotations"});
}

TEST_F(MaskDataTest, AFolderWithoutMasksIsOfNoFormat) {
  picture("good/a.png");
  picture("bad/b.png");
  EXPECT_FALSE(mask_format_of(folder_.path()).first);
  EXPECT_FALSE(mask_format_of(folder_.path() + "/missing").first);
  expect_error([&] { read_mask_data(folder_.path(), MaskFormat::severstal); }, {folder_.path()});
  expect_error([&] { read_mask_data(folder_.path(), MaskFormat::via); }, {folder_.path()});
  expect_error([&] { read_mask_data(folder_.path(), MaskFormat::mvtec); }, {folder_.path()});
  expect_error([&] { read_mask_data(folder_.path(), MaskFormat::pairs); }, {"has no masks"});
}

// What can be done with them.

TEST_F(MaskDataTest, TheSplitIsByPicture) {
  std::string table = "ImageId,ClassId,EncodedPixels\n";
  for (int i = 0; i < 10; ++i) {
    picture(cat(i, ".png"));
    table += cat(i, ".png,1,1 1\n", i, ".png,2,3 1\n");
  }
  text("train.csv", table);
  const auto [train, validation] = split(read(), 0.3, 7);
  EXPECT_EQ(train.pictures.size(), 7u);
  EXPECT_EQ(validation.pictures.size(), 3u);
  std::vector<std::string> paths;
  for (const MaskData* part : {&train, &validation}) {
    EXPECT_EQ(part->kinds, (Lines{"1", "2"}));
    for (const MaskedPicture& picture : part->pictures) {
      EXPECT_EQ(picture.parts.size(), 2u);
      paths.push_back(picture.path);
    }
  }
  std::sort(paths.begin(), paths.end());
  EXPECT_EQ(std::unique(paths.begin(), paths.end()), paths.end());
}

TEST_F(MaskDataTest, KindsTakeTheNumbersOfATrainedRun) {
  picture("a.png");
  text("train.csv", "ImageId,ClassId,EncodedPixels\na.png,2,1 1\na.png,4,2 1\n");
  MaskData data = read();
  renumber_kinds(data, {"4", "3", "2"});
  EXPECT_EQ(lines(data), (Lines{"a.png: 5 | | 0"}));
  expect_error([&] { renumber_kinds(data, {"1", "3", "2"}); }, {folder_.path(), "'4'"});
}

// Mask files.

TEST(MaskFile, APaletteGivesItsIndicesWhateverItsColours) {
  const TemporaryFolder folder;
  // An uncompressed BMP of 8 bits, 4x2 pixels, three colours, of which the third is black.
  std::string bmp(14 + 40 + 3 * 4 + 8, '\0');
  const auto number = [&](size_t at, uint32_t value, size_t bytes = 4) {
    for (size_t i = 0; i < bytes; ++i) bmp[at + i] = static_cast<char>(value >> (8 * i));
  };
  bmp[0] = 'B';
  bmp[1] = 'M';
  number(2, static_cast<uint32_t>(bmp.size()));
  number(10, 14 + 40 + 12);
  number(14, 40);
  number(18, 4);
  number(22, 2);
  number(26, 1, 2);
  number(28, 8, 2);
  number(46, 3);
  number(54, 0xFFFFFF);
  number(58, 0x102030);
  const uint8_t rows[] = {1, 1, 2, 0, /* the upper row stands last */ 0, 2, 1, 0};
  std::copy(std::begin(rows), std::end(rows), bmp.begin() + 66);
  write_bytes(folder / "mask.bmp", bmp);
  const MaskFile mask = read_mask_file(folder / "mask.bmp");
  EXPECT_TRUE(mask.indices);
  EXPECT_EQ(mask.height, 2);
  EXPECT_EQ(mask.values, (std::vector<uint8_t>{0, 2, 1, 0, 1, 1, 2, 0}));
}

TEST(MaskFile, ColoursAreNumberedBlackFirst) {
  const TemporaryFolder folder;
  const Picture colours{1, 4, 3, {255, 0, 0, 0, 0, 0, 0, 0, 255, 255, 0, 0}};
  write_png(folder / "colours.png", colours);
  const MaskFile mask = read_mask_file(folder / "colours.png");
  EXPECT_TRUE(mask.indices);
  EXPECT_EQ(mask.values, (std::vector<uint8_t>{2, 0, 1, 2}));

  Picture many{30, 30, 3, {}};
  for (int i = 0; i < 900; ++i)
    for (const int c : {i % 256, i / 256, 7}) many.pixels.push_back(static_cast<uint8_t>(c));
  write_png(folder / "many.png", many);
  expect_error([&] { read_mask_file(folder / "many.png"); }, {"many.png", "more than 255 colours"});
}

TEST(MaskFile, GreyStaysGrey) {
  const TemporaryFolder folder;
  const Picture grey{1, 3, 1, {0, 100, 255}};
  write_png(folder / "grey.png", grey);
  const MaskFile mask = read_mask_file(folder / "grey.png");
  EXPECT_FALSE(mask.indices);
  EXPECT_EQ(mask.values, grey.pixels);
}

}  // namespace
}  // namespace fettle
