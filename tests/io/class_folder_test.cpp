#include "io/data_sets/class_folder.h"

#include "tests/io/pictures.h"
#include "tests/io/temporary_folder.h"

namespace fettle {
namespace {

const Picture picture = made_picture(4, 5);

std::vector<std::string> names(const ClassFolder& data) {
  std::vector<std::string> result;
  for (const Example& example : data.examples)
    result.push_back(example.path.substr(data.path.size() + 1) + " " +
                     std::to_string(example.label));
  return result;
}

TEST(ClassFolder, OrdersAsKerasDoes) {
  const TemporaryFolder folder;
  for (const char* name : {"b/2.jpg", "b/10.jpg", "B/x", "a/z/1.jpg", "a/y.png", "a/z-1/2.jpg",
                           "a/z/q/3.jpg", "a/Y.jpg", "a/.hidden.jpg", ".cache/1.jpg"})
    write_png(folder / name, picture);
  write_bytes(folder / "a/notes.txt", "no picture");
  write_bytes(folder / "a/.DS_Store", "no picture");
  write_bytes(folder / "SOURCE.txt", "no picture");
  const ClassFolder data = read_class_folder(folder.path());
  EXPECT_EQ(data.class_names, (std::vector<std::string>{"B", "a", "b"}));
  EXPECT_EQ(names(data), (std::vector<std::string>{"B/x 0", "a/Y.jpg 1", "a/y.png 1", "a/z/1.jpg 1",
                                                   "a/z-1/2.jpg 1", "a/z/q/3.jpg 1", "b/10.jpg 2",
                                                   "b/2.jpg 2"}));
  EXPECT_EQ(data.others, std::vector<std::string>{folder / "a/notes.txt"});
  EXPECT_TRUE(data.broken.empty());
  EXPECT_EQ(list_pictures(folder / "a").size(), 5u);
  EXPECT_EQ(list_pictures(folder / "a/y.png").size(), 1u);
}

TEST(ClassFolder, BrokenFilesAreNamedOrSkipped) {
  const TemporaryFolder folder;
  write_png(folder / "a/1.png", picture);
  write_png(folder / "b/1.png", picture);
  write_bytes(folder / "b/2.jpg", "a text");
  write_bytes(folder / "b/3", "\xFF\xD8\xFF\xE0 a JPEG that ends here");
  expect_error([&] { read_class_folder(folder.path()); },
               {"2 files", "b/2.jpg", "is not a JPEG", "remove them, or leave them out"});
  const ClassFolder data = read_class_folder(folder.path(), true);
  EXPECT_EQ(data.examples.size(), 2u);
  ASSERT_EQ(data.broken.size(), 2u);
  EXPECT_EQ(data.broken[1].path, folder / "b/3");
  EXPECT_NE(data.broken[1].reason.find("cut off"), std::string::npos);
  std::filesystem::remove(folder / "b/3");
  write_bytes(folder / "b/2.jpg", "");
  expect_error([&] { read_class_folder(folder.path()); },
               {"1 file under", "2.jpg' is empty", "remove it, or leave it out"});
}

TEST(ClassFolder, FoldersOfNoUseAreNamed) {
  const TemporaryFolder folder;
  const auto refused = [&](const std::string& path, const std::vector<std::string>& parts) {
    expect_error([&] { read_class_folder(path); }, parts);
  };
  refused(folder.path() + "/none", {"/none", "does not exist"});
  refused(folder.path(), {folder.path(), "no class folders"});
  write_png(folder / "a/1.png", picture);
  refused(folder.path(), {folder.path(), "only one class folder"});
  refused(folder / "a/1.png", {"1.png", "is a file"});
  std::filesystem::create_directory(folder / "b");
  refused(folder.path(), {"/b'", "has no pictures"});
  expect_error([&] { list_pictures(folder / "b"); }, {"/b'", "no pictures"});
  expect_error([&] { list_pictures(folder / "c"); }, {"/c'", "does not exist"});
}

TEST(Split, ShufflesAsNumpyDoes) {
  EXPECT_EQ(numpy_shuffle(10, 123), (std::vector<int64_t>{4, 0, 7, 5, 8, 3, 1, 6, 9, 2}));
  EXPECT_EQ(numpy_shuffle(1, 5), std::vector<int64_t>{0});
  // numpy.random.RandomState(2**32 - 1).shuffle(list(range(7)))
  EXPECT_EQ(numpy_shuffle(7, 0xFFFFFFFFu), (std::vector<int64_t>{1, 5, 0, 6, 4, 2, 3}));
  expect_error([] { numpy_shuffle(3, uint64_t{1} << 32); }, {"4294967295"});
}

TEST(Split, TheLastPartValidates) {
  std::vector<Example> examples;
  for (int i = 0; i < 10; ++i) examples.push_back({std::to_string(i), i});
  const auto [training, validation] = split(examples, 0.25, 123);
  std::string order;
  for (const Example& example : training) order += example.path;
  order += '|';
  for (const Example& example : validation) order += example.path;
  EXPECT_EQ(order, "40758316|92");
  expect_error([&] { split(examples, 0.05, 1); }, {"0.05", "empty"});
  expect_error([&] { split(examples, 1, 1); }, {"between 0 and 1"});
}

}  // namespace
}  // namespace fettle
