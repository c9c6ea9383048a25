#include "io/csv.h"

#include "tests/io/temporary_folder.h"

namespace fettle {
namespace {

using Fields = std::vector<std::string>;

TEST(Csv, WhatIsWrittenReadsBack) {
  const TemporaryFolder folder;
  const std::vector<Fields> lines = {
      {"a", "b"}, {"x,y", "say \"so\""}, {"two\nlines", ""}, {"1", "2"}};
  std::string text;
  for (const Fields& fields : lines) text += csv_line(fields);
  write_bytes(folder / "t.csv", text);
  const std::vector<CsvLine> read = read_csv(folder / "t.csv");
  ASSERT_EQ(read.size(), lines.size());
  for (size_t i = 0; i < lines.size(); ++i) EXPECT_EQ(read[i].fields, lines[i]);
  EXPECT_EQ(read[2].number, 3);
  EXPECT_EQ(read[3].number, 5) << "the line before it has a line break inside";
}

TEST(Csv, TakesWhatOtherProgramsWrite) {
  const TemporaryFolder folder;
  write_bytes(folder / "t.csv",
              "\xEF\xBB\xBF"
              "a,b\r\n\r\n\"c\",d\r\n,");
  const std::vector<CsvLine> read = read_csv(folder / "t.csv");
  ASSERT_EQ(read.size(), 3u);
  EXPECT_EQ(read[0].fields, (Fields{"a", "b"}));
  EXPECT_EQ(read[1].fields, (Fields{"c", "d"}));
  EXPECT_EQ(read[1].number, 3);
  EXPECT_EQ(read[2].fields, (Fields{"", ""}));
  write_bytes(folder / "empty.csv", "");
  EXPECT_TRUE(read_csv(folder / "empty.csv").empty());
}

TEST(Csv, FaultsAreNamed) {
  const TemporaryFolder folder;
  write_bytes(folder / "open.csv", "a,b\nc,\"d\ne,f\n");
  expect_error([&] { read_csv(folder / "open.csv"); }, {folder / "open.csv", "line 2", "quote"});
  expect_error([&] { read_csv(folder / "missing.csv"); }, {folder / "missing.csv"});
}

}  // namespace
}  // namespace fettle
