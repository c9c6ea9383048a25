#include "io/picture_source.h"

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

}  // namespace
}  // namespace fettle
