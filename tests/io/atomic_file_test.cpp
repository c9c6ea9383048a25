#include "io/atomic_file.h"

#include <sys/resource.h>

#include <csignal>

#include "io/read_file.h"
#include "tests/io/temporary_folder.h"

namespace fettle {
namespace {

size_t files_in(const TemporaryFolder& folder) {
  return std::distance(std::filesystem::directory_iterator(folder.path()), {});
}

std::string text_of(const std::string& path) {
  const auto bytes = read_file(path);
  return {bytes.begin(), bytes.end()};
}

TEST(AtomicFile, AppearsWholeOrNotAtAll) {
  const TemporaryFolder folder;
  write_file(folder / "f", "before");
  {
    AtomicFile file(folder / "f");
    file.write("half");
    EXPECT_EQ(text_of(folder / "f"), "before");
  }
  EXPECT_EQ(text_of(folder / "f"), "before");
  EXPECT_EQ(files_in(folder), 1u) << "the temporary was left behind";
  write_file(folder / "f", "after");
  EXPECT_EQ(text_of(folder / "f"), "after");
  EXPECT_EQ(files_in(folder), 1u);
}

// The limit on a file's size stands in for a full disk: write() fails in the same way.
TEST(AtomicFile, AFullDiskIsNamedAndLeavesNothing) {
  const TemporaryFolder folder;
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before;
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit low{4096, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &low);
  expect_error([&] { write_file(folder / "big", std::string(10000, 'x')); },
               {"big", "cannot be written", "File too large"});
  setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_EQ(files_in(folder), 0u);
}

TEST(AtomicFile, PlacesThatCannotBeWrittenAreNamed) {
  const TemporaryFolder folder;
  expect_error([&] { write_file(folder.path() + "/no/f", ""); }, {"/no/f", "No such file"});
  expect_error([&] { write_file(folder.path(), ""); }, {folder.path(), "regular file"});
  expect_error([&] { write_file("/dev/full", ""); }, {"/dev/full", "regular file"});
}

}  // namespace
}  // namespace fettle
