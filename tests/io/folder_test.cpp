#include "io/folder.h"

#include "tests/io/temporary_folder.h"

namespace fettle {
namespace {

TEST(Folder, WhatCannotBeLookedAtIsNamed) {
  const TemporaryFolder folder;
  write_bytes(folder / "a/file", "");
  std::filesystem::create_symlink("nowhere", folder / "a/dangling");
  EXPECT_EQ(files_under(folder.path()).size(), 2u);
  std::filesystem::create_symlink("ring", folder / "a/ring");
  expect_error([&] { files_under(folder.path()); }, {"/a/ring'", "cannot be read", "the right"});
  expect_error([&] { sorted_entries(folder / "a/file", true); }, {"/a/file'", "cannot be read"});
  expect_error([&] { check_folder(folder / "a/ring"); }, {"/a/ring'", "cannot be read"});
}

TEST(Folder, AnUsedOneIsRefused) {
  const TemporaryFolder folder;
  check_unused(folder.path());
  check_unused(folder.path() + "/missing");
  write_bytes(folder / "a/.hidden", "");
  expect_error([&] { check_unused(folder / "a"); }, {"/a'", "not empty", "another folder"});
  expect_error([&] { check_unused(folder / "a/.hidden"); }, {".hidden'", "is a file"});
}

TEST(Folder, WhatLiesInAnotherIsSeenThroughLinks) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "a/b");
  std::filesystem::create_directory_symlink(folder / "a/b", folder / "link");
  for (const std::string inner : {"a", "a/", "a/b/new/er", "a/../a/x", "link", "link/x"})
    EXPECT_TRUE(lies_in(folder.path() + "/" + inner, folder.path() + "/a/")) << inner;
  EXPECT_TRUE(lies_in("missing", std::filesystem::current_path().string()));
  EXPECT_TRUE(lies_in("missing/../missing2", "."));
  for (const std::string outer : {"ab", "", "a/..", "link/../../c", "x/a"})
    EXPECT_FALSE(lies_in(folder.path() + "/" + outer, folder.path() + "/a")) << outer;
}

}  // namespace
}  // namespace fettle
