#include "io/picture_source.h"

#include <algorithm>
#include <set>

#include "tests/io/pictures.h"
#include "tests/io/temporary_folder.h"

namespace fettle {
namespace {

// Eleven plain pictures; number i has the value 20 i and the label i.
class PictureSourceTest : public ::testing::Test {
 protected:
  PictureSourceTest() {
    for (int i = 0; i < 11; ++i) {
      examples_.push_back({folder_ / std::to_string(i), i});
      write_png(examples_.back().path, plain_picture(6 + i, 9, 20 * i));
    }
  }
  PictureSourceOptions options() const {
    return {.height = 5, .width = 4, .channels = 3, .batch_size = 4, .threads = 3};
  }
  // The labels of an epoch, each checked against its picture.
  static std::vector<int> labels(PictureSource& source, uint32_t epoch) {
    std::vector<int> result;
    source.start_epoch(epoch);
    while (const auto batch = source.next()) {
      const int64_t count = batch->y.shape()[0];
      EXPECT_EQ(batch->x.shape(), (Shape{count, 5, 4, 3}));
      for (int64_t i = 0; i < count; ++i) {
        result.push_back(batch->y.data<int32_t>()[i]);
        for (int64_t j = 0; j < 60; ++j)
          EXPECT_EQ(batch->x.data()[i * 60 + j], 20.0f * result.back());
      }
    }
    EXPECT_FALSE(source.next().has_value());
    return result;
  }

  TemporaryFolder folder_;
  std::vector<Example> examples_;
};

TEST_F(PictureSourceTest, KeepsTheOrder) {
  PictureSource source(examples_, options());
  EXPECT_FALSE(source.next().has_value()) << "before the first epoch";
  EXPECT_EQ(source.batches(), 3);
  EXPECT_EQ(source.examples(), 11);
  EXPECT_EQ(labels(source, 0), (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}));
}

TEST_F(PictureSourceTest, TheShuffleDependsOnSeedAndEpochOnly) {
  PictureSourceOptions one = options(), other = options();
  one.shuffle = other.shuffle = true;
  one.threads = 1;
  one.prefetch = 1;
  other.cache = true;
  PictureSource a(examples_, one), b(examples_, other);
  const auto first = labels(a, 0), second = labels(a, 1);
  EXPECT_NE(first, second);
  EXPECT_EQ(labels(b, 1), second);
  EXPECT_EQ(labels(b, 0), first);
  one.seed = 1;
  PictureSource c(examples_, one);
  EXPECT_NE(labels(c, 0), first);
  auto sorted = first;
  std::sort(sorted.begin(), sorted.end());
  EXPECT_EQ(sorted, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}));
}

TEST_F(PictureSourceTest, ACachedEpochNeedsNoFiles) {
  PictureSourceOptions cached = options();
  cached.cache = true;
  PictureSource source(examples_, cached);
  const auto first = labels(source, 0);
  for (const Example& example : examples_) std::filesystem::remove(example.path);
  EXPECT_EQ(labels(source, 1), first);
}

TEST_F(PictureSourceTest, ABrokenPictureStopsItsBatch) {
  write_bytes(examples_[6].path, "a text");
  PictureSource source(examples_, options());
  source.start_epoch(0);
  EXPECT_TRUE(source.next().has_value());
  expect_error([&] { source.next(); }, {examples_[6].path, "is not a JPEG", "--skip-broken"});
}

TEST_F(PictureSourceTest, BrokenPicturesAreSkippedAndReported) {
  for (int i : {1, 4, 5, 6, 7}) write_bytes(examples_[i].path, "a text");
  PictureSourceOptions skipping = options();
  skipping.skip_broken = true;
  PictureSource source(examples_, skipping);
  for (uint32_t epoch : {0, 1})
    EXPECT_EQ(labels(source, epoch), (std::vector<int>{0, 2, 3, 8, 9, 10}));
  EXPECT_EQ(source.skipped().size(), 5u);
  EXPECT_TRUE(source.skipped().contains(examples_[4].path));
}

TEST_F(PictureSourceTest, StopsInTheMiddleOfAnEpoch) {
  for (int i = 0; i < 20; ++i) {
    PictureSource source(examples_, options());
    source.start_epoch(0);
    if (i % 3) source.next();
    if (i % 2) source.start_epoch(1);
  }
}

TEST_F(PictureSourceTest, SenselessOptionsAreRefused) {
  PictureSourceOptions wrong = options();
  wrong.batch_size = 0;
  expect_error([&] { PictureSource(examples_, wrong); }, {"batch size"});
  expect_error([&] { PictureSource(std::vector<Example>(), options()); }, {"no pictures"});
}

// Pictures of 12x10 whose pixels say where they are: red the row, green the column, blue the number
// of the picture. Number i has a defect of kind 0 in the pixel (i + 1, 8), of kind 1 in its row 9.
class MaskedSourceTest : public ::testing::Test {
 protected:
  static constexpr int pictures = 6, height = 12, width = 10;

  MaskedSourceTest() {
    std::string table = "ImageId,ClassId,EncodedPixels\n";
    for (int i = 0; i < pictures; ++i) {
      Picture picture{height, width, 3, {}};
      for (int row = 0; row < height; ++row)
        for (int column = 0; column < width; ++column)
          for (const int value : {row, column, i})
            picture.pixels.push_back(static_cast<uint8_t>(10 * value));
      write_png(folder_ / cat(i, ".png"), picture);
      Mask point(height, width), line(height, width);
      point.at(i + 1, 8) = 1;
      for (int column = 0; column < width; ++column) line.at(9, column) = 1;
      table += cat(i, ".png,1,", run_lengths_of(point), "\n");
      table += cat(i, ".png,2,", run_lengths_of(line), "\n");
    }
    write_bytes(folder_ / "train.csv", table);
    data_ = read_mask_data(folder_.path(), MaskFormat::severstal);
  }

  TemporaryFolder folder_;
  MaskData data_;
};

TEST_F(MaskedSourceTest, HandsOutPicturesWithTheirMasks) {
  PictureSource source(data_, {.height = height, .width = width, .batch_size = 4});
  source.start_epoch(0);
  int64_t first = 0;
  while (const auto batch = source.next()) {
    const int64_t count = batch->x.shape()[0];
    ASSERT_EQ(batch->y.shape(), (Shape{count, height, width, 2}));
    for (int64_t i = 0; i < count * height * width; ++i) {
      const int64_t row = i / width % height, column = i % width, n = first + i / (height * width);
      ASSERT_EQ(batch->x.data()[3 * i + 2], static_cast<float>(10 * n));
      ASSERT_EQ(batch->y.data()[2 * i], row == n + 1 && column == 8 ? 1 : 0);
      ASSERT_EQ(batch->y.data()[2 * i + 1], row == 9 ? 1 : 0);
    }
    first += count;
  }
  EXPECT_EQ(first, pictures);
}

TEST_F(MaskedSourceTest, MasksAreResizedToTheNearestPixel) {
  PictureSource source(data_, {.height = 2 * height, .width = width / 2, .batch_size = 1});
  source.start_epoch(0);
  const auto batch = source.next();
  for (int64_t row = 0; row < 2 * height; ++row) {
    for (int64_t column = 0; column < width / 2; ++column) {
      const float* y = batch->y.data() + 2 * (row * width / 2 + column);
      // The centre of column c lies on the edge between 2 c and 2 c + 1: the latter's.
      EXPECT_EQ(y[0], row / 2 == 1 && 2 * column + 1 == 8 ? 1 : 0);
      EXPECT_EQ(y[1], row / 2 == 9 ? 1 : 0);
    }
  }
}

TEST_F(MaskedSourceTest, CropsAreWindowsOfPictureAndMaskAndHalfOfThemHoldADefect) {
  PictureSourceOptions options = {.height = 0,
                                  .width = 0,
                                  .batch_size = 3,
                                  .crop_height = 2,
                                  .crop_width = 3,
                                  .shuffle = true,
                                  .seed = 5};
  PictureSource source(data_, options);
  options.threads = 1;
  options.cache = true;
  PictureSource same(data_, options);
  std::set<std::pair<float, float>> corners;
  int with_defects = 0, all = 0;
  for (uint32_t epoch = 0; epoch < 60; ++epoch) {
    source.start_epoch(epoch);
    same.start_epoch(epoch);
    while (const auto batch = source.next()) {
      const auto again = same.next();
      EXPECT_EQ(batch->x.to_vector(), again->x.to_vector());
      EXPECT_EQ(batch->y.to_vector(), again->y.to_vector());
      for (int64_t n = 0; n < 3; ++n) {
        const float* x = batch->x.data() + n * 18;
        const float* y = batch->y.data() + n * 12;
        const float top = x[0] / 10, left = x[1] / 10, number = x[2] / 10;
        corners.insert({top, left});
        bool defect = false;
        for (int64_t i = 0; i < 6; ++i) {
          const float row = top + static_cast<float>(i / 3),
                      column = left + static_cast<float>(i % 3);
          ASSERT_EQ(x[3 * i], 10 * row);
          ASSERT_EQ(x[3 * i + 1], 10 * column);
          ASSERT_EQ(y[2 * i], row == number + 1 && column == 8 ? 1 : 0);
          ASSERT_EQ(y[2 * i + 1], row == 9 ? 1 : 0);
          defect |= y[2 * i] + y[2 * i + 1] > 0;
        }
        with_defects += defect;
        ++all;
      }
    }
  }
  EXPECT_EQ(all, 360);
  // Of the crops drawn anywhere, about 2 in 11 hold the line and 1 in 40 the point alone.
  EXPECT_GT(with_defects, 0.5 * all);
  EXPECT_LT(with_defects, 0.72 * all);
  EXPECT_GT(corners.size(), 60u) << "of 88 places";
}

TEST_F(MaskedSourceTest, WithoutAShuffleCropsStayTheSame) {
  PictureSource source(data_, {.height = height,
                               .width = width,
                               .batch_size = pictures,
                               .crop_height = 4,
                               .crop_width = 4});
  source.start_epoch(0);
  const std::vector<float> first = source.next()->x.to_vector();
  source.start_epoch(1);
  EXPECT_EQ(source.next()->x.to_vector(), first);
  expect_error(
      [&] { PictureSource(data_, {.height = 8, .width = 8, .crop_height = 9, .crop_width = 4}); },
      {"crops of 9x4 do not fit into pictures of 8x8"});
}

TEST_F(MaskedSourceTest, BytesAreWhatTheFloatsAre) {
  write_bytes(folder_ / "2.png", "a text");  // rows are left out of bytes, too
  for (const bool standardize : {false, true}) {
    PictureSourceOptions options = {.height = height,
                                    .width = width,
                                    .batch_size = 4,
                                    .crop_height = 5,
                                    .crop_width = 6,
                                    .standardize = standardize,
                                    .skip_broken = true};
    PictureSource floats(data_, options);
    options.as_bytes = true;
    PictureSource bytes(data_, options);
    floats.start_epoch(0);
    bytes.start_epoch(0);
    for (const int64_t count : {3, 2}) {
      const auto expected = floats.next(), batch = bytes.next();
      ASSERT_EQ(batch->x.shape(), (Shape{count, 5, 6, 3}));
      EXPECT_EQ(batch->x.dtype(), DType::u8);
      EXPECT_EQ(batch->y.dtype(), DType::u8);
      EXPECT_EQ(batch->scaling.defined(), standardize);
      EXPECT_EQ(as_floats(*batch).x.to_vector(), expected->x.to_vector());
      EXPECT_EQ(as_floats(*batch).y.to_vector(), expected->y.to_vector());
    }
  }
}

TEST_F(MaskedSourceTest, StandardisedPicturesHaveMeanZeroAndDeviationOne) {
  PictureSource source(data_, {.height = height,
                               .width = width,
                               .batch_size = 1,
                               .crop_height = 3,
                               .crop_width = 3,
                               .standardize = true});
  PictureSource whole(data_,
                      {.height = height, .width = width, .batch_size = 1, .standardize = true});
  source.start_epoch(0);
  whole.start_epoch(0);
  const std::vector<float> crop = source.next()->x.to_vector(), x = whole.next()->x.to_vector();
  double sum = 0, squares = 0;
  for (const float value : x) {
    sum += value;
    squares += double{value} * value;
  }
  EXPECT_NEAR(sum / static_cast<double>(x.size()), 0, 1e-5);
  EXPECT_NEAR(squares / static_cast<double>(x.size()), 1, 1e-5);
  // A crop is a part of its standardised picture, not standardised by itself.
  for (const float value : crop) EXPECT_NE(std::find(x.begin(), x.end(), value), x.end()) << value;
}

}  // namespace
}  // namespace fettle
