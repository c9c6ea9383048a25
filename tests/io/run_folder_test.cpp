#include "io/run_folder.h"

#include <cmath>

#include "io/csv.h"
#include "io/read_file.h"
#include "io/run_lock.h"
#include "tests/io/temporary_folder.h"

namespace fettle {
namespace {

std::string text_of(const std::string& path) {
  const auto bytes = read_file(path);
  return {bytes.begin(), bytes.end()};
}

TEST(RunFolder, TheConfigReadsBack) {
  const TemporaryFolder folder;
  const RunFolder run(folder.path() + "/runs/1");
  run.create();
  run.create();
  write_config(run, {.model = "res_unet",
                     .height = 20,
                     .width = 30,
                     .channels = 3,
                     .crop_height = 16,
                     .crop_width = 32,
                     .class_names = {"a \"b\"", "ü"},
                     .multi_label = true,
                     .threshold = 0.125,
                     .threshold_goal = "recall=0.9",
                     .seed = ~uint64_t{0},
                     .options = {{"epochs", "5"}}});
  const RunConfig read = read_config(run);
  EXPECT_EQ(read.model, "res_unet");
  EXPECT_EQ(read.height, 20);
  EXPECT_EQ(read.width, 30);
  EXPECT_EQ(read.channels, 3);
  EXPECT_EQ(read.crop_height, 16);
  EXPECT_EQ(read.crop_width, 32);
  EXPECT_EQ(read.threshold, 0.125);
  EXPECT_EQ(read.threshold_goal, "recall=0.9");
  EXPECT_TRUE(read.multi_label);
  EXPECT_EQ(read.class_names, (std::vector<std::string>{"a \"b\"", "ü"}));
  EXPECT_EQ(read.seed, ~uint64_t{0});
  EXPECT_EQ(read.options.at("epochs"), "5");
}

TEST(RunFolder, ABrokenOneIsNamed) {
  const TemporaryFolder folder;
  expect_error([&] { read_config(RunFolder(folder.path() + "/no")); }, {"/no", "does not exist"});
  const RunFolder run(folder.path());
  expect_error([&] { read_config(run); }, {"no run folder of fettle", "config.json"});
  for (const auto& [text, reason] : {std::pair{"{", "not the configuration"},
                                     {"[]", "not the configuration"},
                                     {"{}", "lacks model"},
                                     {R"({"model":3})", "model: 3 must be a text"}}) {
    write_bytes(run.config(), text);
    expect_error([&] { read_config(run); }, {"config.json", reason});
  }
  write_bytes(folder / "file", "");
  expect_error([&] { RunFolder(folder.path() + "/file").create(); }, {"/file", "cannot make"});
}

TEST(RunFolder, OneTrainingAtATimeHoldsIt) {
  const TemporaryFolder folder;
  const RunFolder run(folder.path() + "/run");
  expect_error([&] { RunLock lock(run); }, {"/run/checkpoint/lock", "cannot write"});
  run.create();
  {
    const RunLock lock(run);
    expect_error([&] { RunLock second(run); }, {"/run'", "another training", "--out"});
  }
  const RunLock again(run);
}

TEST(RunFolder, ItsCommandIsQuotedForAShell) {
  EXPECT_EQ(RunFolder("runs/1").resume_command(), "fettle train --resume --out runs/1");
  EXPECT_EQ(RunFolder("my run").resume_command(), "fettle train --resume --out 'my run'");
  EXPECT_EQ(RunFolder("it's").resume_command(), "fettle train --resume --out 'it'\\''s'");
  EXPECT_EQ(RunFolder("$HOME;ü").resume_command(), "fettle train --resume --out '$HOME;ü'");
}

TEST(RunFolder, TheHistoryIsATable) {
  const TemporaryFolder folder;
  write_history(folder / "h.csv",
                {{{"loss", 0.1}, {"accuracy", 1}}, {{"loss", 1e-9}, {"accuracy", 0.5}}});
  EXPECT_EQ(text_of(folder / "h.csv"), "epoch,loss,accuracy\n1,0.1,1\n2,1e-09,0.5\n");
  const std::vector<EpochLog> read = read_history(folder / "h.csv");
  EXPECT_EQ(read, (std::vector<EpochLog>{{{"loss", 0.1}, {"accuracy", 1}},
                                         {{"loss", 1e-9}, {"accuracy", 0.5}}}));
  write_history(folder / "h.csv", {});
  EXPECT_EQ(text_of(folder / "h.csv"), "epoch\n");
  EXPECT_TRUE(read_history(folder / "h.csv").empty());
}

TEST(RunFolder, AHistoryThatIsNoneIsNamed) {
  const TemporaryFolder folder;
  write_history(folder / "h.csv", {{{"loss", std::nan("")}}});
  EXPECT_TRUE(std::isnan(read_history(folder / "h.csv").at(0).at(0).second));
  for (const auto& [text, part] : std::vector<std::pair<std::string, std::string>>{
           {"", "first column"},
           {"loss\n1\n", "first column"},
           {"epoch,loss\n1,2\n2\n", "line 3"},
           {"epoch,loss\n1,high\n", "'high' is no number"},
           {"epoch,loss\n1,2x\n", "'2x' is no number"}}) {
    write_bytes(folder / "h.csv", text);
    expect_error([&] { read_history(folder / "h.csv"); }, {"h.csv", part});
  }
}

TEST(RunFolder, PredictionsAreQuoted) {
  const TemporaryFolder folder;
  write_predictions(folder / "p.csv", {"bad", "so, so"}, {{"a,\"b\".jpg", "bad", {0.9f, 0.1f}}});
  EXPECT_EQ(text_of(folder / "p.csv"),
            "path,class,bad,\"so, so\"\n\"a,\"\"b\"\".jpg\",bad,0.9,0.1\n");
  write_predictions(folder / "p.csv", {"x", "y"}, {{"a", "x;y", {1, 0.5f}}, {"b", "", {0, 0}}},
                    "labels");
  EXPECT_EQ(text_of(folder / "p.csv"), "path,labels,x,y\na,x;y,1,0.5\nb,,0,0\n");
  EXPECT_EQ(csv_line({"", "a\nb"}), ",\"a\nb\"\n");
}

}  // namespace
}  // namespace fettle
