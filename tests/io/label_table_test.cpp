#include "io/data_sets/label_table.h"

#include "io/picture_source.h"
#include "tests/io/pictures.h"
#include "tests/io/temporary_folder.h"

namespace fettle {
namespace {

class LabelTableTest : public testing::Test {
 protected:
  LabelTableTest() {
    for (const char* name : {"a.png", "b.png", "deep/c.png", "d.png"})
      write_png(folder_ / cat("pictures/", name), made_picture(4, 5, 3, salt_++));
  }
  LabelTable read(const std::string& text, const LabelTableOptions& options = {}) {
    write_bytes(folder_ / "t.csv", text);
    return read_label_table(folder_ / "t.csv", folder_ / "pictures", options);
  }
  /// "a.png 10|..." of a table.
  std::string rows(const LabelTable& table) {
    std::string text;
    for (const Example& example : table.examples) {
      text += example.path.substr((folder_ / "pictures").size() + 1) + " ";
      for (const uint8_t label : example.labels) text += static_cast<char>('0' + label);
      text += '|';
    }
    return text;
  }
  void expect_refusal(const std::string& text, const std::vector<std::string>& parts,
                      const LabelTableOptions& options = {}) {
    expect_error([&] { read(text, options); }, parts);
  }

  TemporaryFolder folder_;
  int salt_ = 0;
};

TEST_F(LabelTableTest, AColumnALabel) {
  const LabelTable table = read(
      "\xEF\xBB\xBF"
      "Path,scratch,dent\r\nb.png,1,0\r\n\r\n./deep/../deep/c.png, 1 ,1\r\n\"a.png\",0,0\r\n");
  EXPECT_TRUE(table.columns);
  EXPECT_EQ(table.label_names, (std::vector<std::string>{"scratch", "dent"}));
  EXPECT_EQ(rows(table), "b.png 10|deep/c.png 11|a.png 00|");
  EXPECT_EQ(label_counts(table.examples), (std::vector<int64_t>{2, 1}));
  const std::string said = description(table);
  for (const char* part :
       {"a column for each label, 3 pictures, 2 labels, 1 picture with none",
        "label scratch: 2 pictures", "label dent: 1 picture\n", "note: 1 picture in"})
    EXPECT_NE(said.find(part), std::string::npos) << part << "\n" << said;
}

TEST_F(LabelTableTest, NamesInOneColumn) {
  const LabelTable blanks = read("filename,labels\na.png,dent scratch\nb.png,\nd.png,  dent\n");
  EXPECT_FALSE(blanks.columns);
  EXPECT_EQ(blanks.label_names, (std::vector<std::string>{"dent", "scratch"}));
  EXPECT_EQ(rows(blanks), "a.png 11|b.png 00|d.png 10|");
  EXPECT_NE(description(blanks).find("names of labels"), std::string::npos);
  const LabelTable semicolons =
      read("image,Labels\na.png,deep scratch; dent ;dent\nb.png,dent\nd.png,deep scratch;\n");
  EXPECT_EQ(semicolons.label_names, (std::vector<std::string>{"deep scratch", "dent"}));
  EXPECT_EQ(rows(semicolons), "a.png 11|b.png 01|d.png 10|");
}

TEST_F(LabelTableTest, TheLabelsOfARunKeepTheirOrder) {
  const LabelTableOptions run = {.label_names = {"z", "a", "m"}};
  EXPECT_EQ(rows(read("path,a,m,z\na.png,1,0,0\nb.png,0,1,1\n", run)), "a.png 010|b.png 101|");
  EXPECT_EQ(rows(read("path,labels\na.png,m\nb.png,\n", run)), "a.png 001|b.png 000|");
  EXPECT_EQ(rows(read("path,labels\na.png,\n", run)), "a.png 000|");
  expect_refusal("path,a,m\na.png,1,0\n", {"t.csv", "lacks a column", "'z'"}, run);
  expect_refusal("path,labels\na.png,rust\n", {"t.csv", "not known to the run", "'rust'"}, run);
  expect_refusal("path,a,m,z,rust\na.png,1,0,0,0\n", {"not known to the run", "'rust'"}, run);
}

TEST_F(LabelTableTest, WhatIsWrongIsNamedWithItsLine) {
  expect_refusal("path,x\na.png,1\nlost.png,0\n", {"t.csv', line 3", "'lost.png'", "not found"});
  expect_refusal("path,x\na.png,2\n", {"line 2", "'x' is '2'", "1 where"});
  expect_refusal("path,x\na.png,\n", {"line 2", "'x' is ''"});
  expect_refusal("path,x\na.png,yes\n", {"line 2", "'yes'"});
  expect_refusal("path,x\na.png,1\nb.png,1\n./a.png,1\n", {"line 4", "already in line 2"});
  expect_refusal("path,labels,x\na.png,dent,1\n", {"line 1", "column 'x' is not known"});
  expect_refusal("name,x\na.png,1\n", {"line 1", "'name'", "call it path"});
  expect_refusal("path,x,x\na.png,1,0\n", {"line 1", "two columns are called 'x'"});
  expect_refusal("path,x,\na.png,1,0\n", {"line 1", "''", "no name"});
  expect_refusal("path,a;b\na.png,1\n", {"line 1", "'a;b'"});
  expect_refusal("path\na.png\n", {"line 1", "no column of labels"});
  expect_refusal("path,x\n", {"t.csv", "no line below its header"});
  expect_refusal("", {"t.csv", "no line below its header"});
  expect_refusal("path,x\na.png,1,0\n", {"line 2", "3 fields", "header 2"});
  expect_refusal("path,x\n,1\n", {"line 2", "no name"});
  expect_refusal("path,labels\na.png,\n", {"names no label"});
  for (const std::string& outside : {folder_ / "pictures/a.png", std::string("../t.csv"),
                                     std::string("deep/../../pictures/a.png")})
    expect_refusal("path,x\na.png,1\n" + outside + ",1\n", {"line 3", outside, "not under"});
  expect_refusal("path,x\na.png\n", {"line 2", "has 1 field,"});
  expect_refusal("path,x\ndeep,1\n", {"line 2", "'deep'", "not found"});
  expect_error([&] { read_label_table(folder_ / "none.csv", folder_ / "pictures"); }, {"none.csv"});
  expect_error([&] { read_label_table(folder_ / "t.csv", folder_ / "nowhere"); },
               {"nowhere", "does not exist"});
}

TEST_F(LabelTableTest, BrokenPicturesAreNamedOrSkipped) {
  write_bytes(folder_ / "pictures/text.png", "no picture");
  const std::string text = "path,x\na.png,1\ntext.png,0\n";
  expect_refusal(text, {"text.png", "--skip-broken"});
  const LabelTable table = read(text, {.skip_broken = true});
  EXPECT_EQ(rows(table), "a.png 1|");
  EXPECT_NE(description(table).find("left out: "), std::string::npos);
  expect_refusal("path,x\ntext.png,0\n", {"no whole picture"}, {.skip_broken = true});
}

TEST_F(LabelTableTest, BatchesHoldTheLabels) {
  const LabelTable table = read("path,x,y\na.png,1,0\nb.png,0,0\ndeep/c.png,1,1\nd.png,0,1\n");
  PictureSource source(table.examples, {.height = 4, .width = 5, .batch_size = 3});
  source.start_epoch(0);
  const auto first = source.next(), second = source.next();
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->y.shape(), (Shape{3, 2}));
  EXPECT_EQ(first->y.to_vector(), (std::vector<float>{1, 0, 0, 0, 1, 1}));
  EXPECT_EQ(second->y.to_vector(), (std::vector<float>{0, 1}));

  // A picture that is gone meanwhile leaves the others their labels.
  std::filesystem::remove(folder_ / "pictures/b.png");
  PictureSource rest(table.examples,
                     {.height = 4, .width = 5, .batch_size = 4, .skip_broken = true});
  rest.start_epoch(0);
  EXPECT_EQ(rest.next()->y.to_vector(), (std::vector<float>{1, 0, 1, 1, 0, 1}));
  std::vector<Example> mixed = table.examples;
  mixed[2].labels.pop_back();
  expect_error([&] { PictureSource(mixed, {}); }, {"c.png", "1 labels", "2"});
}

TEST_F(LabelTableTest, TheSplitKeepsPictureAndLabelsTogether) {
  std::vector<Example> examples;
  for (uint8_t i = 0; i < 10; ++i) examples.push_back({std::to_string(i), 0, {i}});
  const auto [train, validation] = split(examples, 0.3, 5);
  EXPECT_EQ(train.size(), 7u);
  EXPECT_EQ(validation.size(), 3u);
  for (const auto& part : {train, validation})
    for (const Example& example : part) EXPECT_EQ(example.path, std::to_string(example.labels[0]));
}

}  // namespace
}  // namespace fettle
