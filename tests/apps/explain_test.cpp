// fettle predict --explain on made tyres, whose defects' places are known.
#include "io/csv.h"
#include "io/picture.h"
#include "tests/apps/program.h"
#include "tests/io/pictures.h"

namespace fettle {
namespace {

class Explain : public Program {
 protected:
  std::vector<CsvLine> table(const std::string& file) { return read_csv(path(file)); }
};

// A defect_cnn of half a minute: it ends in a global maximum.
TEST_F(Explain, ThePeakLiesInTheDefect) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "a quarter of an hour under the sanitizer; the next test walks the same code";
#endif
  ASSERT_EQ(fettle("synthesize tyres {}/learn --count 120 --seed 1").code, 0);
  ASSERT_EQ(fettle("synthesize tyres {}/new --count 60 --seed 2").code, 0);
  const Outcome trained = fettle(
      "train --model defect_cnn --data {}/learn --out {}/run --epochs 12 --batch-size 8 --schedule "
      "cosine --early-stopping 0 --cache --learning-rate 0.002 --seed 3");
  ASSERT_EQ(trained.code, 0) << trained.err;
  const Outcome explained = fettle("predict {}/run {}/new --out {}/out --explain");
  ASSERT_EQ(explained.code, 0) << explained.err;
  EXPECT_NE(explained.err.find("Wrote 120 heat maps"), std::string::npos) << explained.err;

  struct Box {
    int x, y, width, height;
  };
  std::map<std::string, Box> boxes;
  for (const CsvLine& line : table("new/defects.csv")) {
    const std::vector<std::string>& f = line.fields;
    if (line.number > 1)
      boxes[path("new/" + f[0])] = {std::stoi(f[2]), std::stoi(f[3]), std::stoi(f[4]),
                                    std::stoi(f[5])};
  }
  const std::vector<CsvLine> rows = table("out/explanations.csv");
  ASSERT_EQ(rows.size(), 121u);
  EXPECT_EQ(rows[0].fields, (std::vector<std::string>{"path", "class", "probability", "x", "y"}));
  int found = 0, inside = 0;
  for (const CsvLine& row : rows) {
    const auto box = boxes.find(row.fields[0]);
    if (box == boxes.end() || row.fields[1] != "defective") continue;
    ++found;
    if (row.fields[3].empty()) continue;
    const int x = std::stoi(row.fields[3]) - box->second.x;
    const int y = std::stoi(row.fields[4]) - box->second.y;
    inside += x >= 0 && y >= 0 && x < box->second.width && y < box->second.height;
  }
  EXPECT_GE(found, 45);
  EXPECT_GE(inside, 0.9 * found) << inside << " of " << found;
  const Picture map = read_picture(path("out/explanations/defective/0001.jpg.png"), 3);
  EXPECT_GE(map.height, 160);
  EXPECT_GE(map.width, 160);
}

// One logit, and a network that flattens its last map.
TEST_F(Explain, EveryClassifierShowsWhereItLooks) {
  for (int i = 0; i < 6; ++i) {
    write_png(folder_ / cat("data/bad/", i, ".png"), plain_picture(40, 44, 30 + i));
    write_png(folder_ / cat("data/good/", i, ".png"), plain_picture(44, 40, 200 + i));
  }
  for (const char* model : {"tyre_cnn", "wreck_cnn"}) {
    const Outcome trained =
        fettle(cat("train --model ", model, " --data {}/data --image-size 40 --epochs 1 ",
                   "--batch-size 4 --out {}/", model));
    ASSERT_EQ(trained.code, 0) << trained.err;
    const Outcome explained = fettle(cat("predict {}/", model, " {}/data --explain --out {}/p"));
    ASSERT_EQ(explained.code, 0) << explained.err;
    EXPECT_EQ(table("p/explanations.csv").size(), 13u);
    EXPECT_TRUE(std::filesystem::exists(path("p/explanations/bad/3.png.png"))) << model;
    expect_nothing_half_written();
  }
}

}  // namespace
}  // namespace fettle
