// fettle report: the page, its figures and its galleries.
#include <cmath>
#include <filesystem>
#include <map>

#include "io/csv.h"
#include "tests/apps/labelled_pictures.h"
#include "tests/apps/mask_commands.h"
#include "tests/apps/report_page.h"

namespace fettle {
namespace {

/// The epoch, from 1, with the least of a figure of history.csv.
size_t least_epoch(const std::vector<CsvLine>& history, const std::string& figure) {
  const std::vector<std::string>& names = history[0].fields;
  const auto column = std::find(names.begin(), names.end(), figure) - names.begin();
  size_t best = 1;
  for (size_t i = 2; i < history.size(); ++i)
    if (std::stod(history[i].fields[column]) < std::stod(history[best].fields[column])) best = i;
  return best;
}

/// Pictures whose brightness tells two classes apart, but for a quarter that lie, with names
/// that would be markup.
class Report : public Program {
 protected:
  const std::string bad = "<b>bad & \"ugly\"";

  void make_pictures() {
    for (int i = 0; i < 64; ++i) {
      const bool lies = i < 16;
      write_png(folder_ / cat("data/", bad, "/<script>alert(", i, ") & 'ü'.png"),
                plain_picture(16, 16, lies ? 190 + i : 30 + i));
      write_png(folder_ / cat("data/good/", i, ".png"),
                plain_picture(16, 16, lies ? 30 + i : 190 + i));
    }
  }
  void train(const std::string& data, int epochs) {
    done(fettle(cat("train --model tyre_cnn --data {}/", data, " --image-size 22 --batch-size 8 ",
                    "--epochs ", epochs,
                    " --loss focal --validation-split 0.4 --seed 4 --out {}/run")));
  }
  static void done(const Outcome& outcome) { ASSERT_EQ(outcome.code, 0) << outcome.err; }
  nlohmann::json json(const std::string& file) {
    return nlohmann::json::parse(content(path(file)));
  }

  /// What predictions.csv says of the pictures under `truth` that are called `called`, the largest
  /// probability first.
  std::vector<std::string> wrong(const std::string& truth, size_t called) {
    std::vector<std::string> found;
    const std::vector<CsvLine> rows = read_csv(path("p/predictions.csv"));
    for (const CsvLine& row : rows)
      if (row.fields[0].starts_with(path("data/" + truth)) &&
          row.fields[1] == rows[0].fields[called])
        found.push_back(row.fields[called]);
    std::sort(found.begin(), found.end(), [](const std::string& a, const std::string& b) {
      return std::stod(b) < std::stod(a);
    });
    return found;
  }
};

TEST_F(Report, OfAClassifierAgreesWithItsMetricsAndShowsTheSurestMistakes) {
  make_pictures();
  train("data", 8);
  done(fettle("evaluate {}/run --data {}/data --threshold 0.51 --out {}/e"));
  done(fettle("predict {}/run {}/data --threshold 0.51 --out {}/p"));
  const Outcome reported = fettle("report {}/run --data {}/data --threshold 0.51");
  done(reported);
  EXPECT_EQ(reported.out, "");
  EXPECT_NE(reported.err.find("run/report.html"), std::string::npos) << reported.err;
  EXPECT_FALSE(std::filesystem::exists(path("run/metrics.json"))) << "one file is written";
  expect_nothing_half_written();

  const ReportPage page(path("run/report.html"));
  page.expect_self_contained();
  const nlohmann::json metrics = json("e/metrics.json");
  page.expect_figures(metrics,
                      {"/examples", "/auc", "/threshold", "/expected_calibration_error",
                       "/at_threshold/accuracy", "/at_threshold/confusion_matrix/0/0",
                       "/at_threshold/confusion_matrix/1/0", "/at_threshold/classes/good/precision",
                       "/at_threshold/classes/" + bad + "/recall", "/classes/good/roc_auc"});
  // The good class is known by its name, and here it is the second one.
  const auto matrix =
      metrics["at_threshold"]["confusion_matrix"].get<std::vector<std::vector<int>>>();
  EXPECT_TRUE(page.says(cat("It found ", matrix[0][0], " of 64 defective ones")));
  EXPECT_TRUE(page.says(cat("Among 64 good ones it raised ", matrix[1][0], " false alarms.")));
  EXPECT_TRUE(page.says(cat(matrix[0][0], " of 64, ", matrix[0][1], " missed.")));
  EXPECT_TRUE(page.says("It was given for this report by --threshold"));
  EXPECT_TRUE(page.says("Measured on the pictures it learned from"));
  EXPECT_TRUE(page.says("“" + bad + "”"));
  const size_t kept = least_epoch(read_csv(path("run/history.csv")), "val_loss");
  EXPECT_TRUE(page.says(cat("epoch ", kept, ", which is kept")));
  done(fettle(page.training("{}/again")));
  EXPECT_EQ(content(path("again/model.safetensors")), content(path("run/model.safetensors")));

  for (const auto& [heading, truth, called] :
       std::vector<std::tuple<std::string, std::string, size_t>>{{"Missed", bad, 3},
                                                                 {"False alarms", "good", 2}}) {
    std::vector<std::string> expected = wrong(truth, called);
    ASSERT_GT(expected.size(), 12u) << "the pictures do not lie";
    expected.resize(12);
    std::vector<std::string> shown;
    for (const Shown& one : page.gallery(heading)) {
      shown.push_back(one.probability);
      EXPECT_TRUE(one.name.starts_with(truth + "/")) << one.name;
      EXPECT_TRUE(std::filesystem::exists(path("data/" + one.name))) << one.name;
    }
    EXPECT_EQ(shown, expected) << heading;
  }
  for (const Shown& one : page.gallery("Found and sure"))
    EXPECT_TRUE(one.name.starts_with(bad + "/")) << one.name;
  for (const char* heading : {"Found and sure", "Found, but only just", "“good” and called so"})
    EXPECT_EQ(page.gallery(heading).size(), 6u) << heading;
  EXPECT_EQ(page.count("img"), 2 * page.count("figure", "shot")) << "a heat map beside each";
}

TEST_F(Report, SaysHowTheThresholdWasChosenAndWhatToBewareOf) {
  make_pictures();
  train("data", 3);
  done(fettle("evaluate {}/run --choose-threshold recall=0.7 --out {}/e"));
  EXPECT_EQ(json("run/config.json")["threshold_goal"], "recall=0.7");
  done(fettle("report {}/run --out {}/deep/folder/page.html"));
  const ReportPage page(path("deep/folder/page.html"));
  page.expect_figures(json("e/metrics.json"), {"/examples"});
  EXPECT_TRUE(page.says("the highest that reaches a recall of 70.0\u00A0% of “good”"));
  EXPECT_TRUE(page.says("The threshold was chosen on these pictures"));
  EXPECT_TRUE(page.says("Measured on the validation pictures"));
  EXPECT_TRUE(page.says("Few pictures"));
  // What was chosen for these weights says nothing about those that are trained further.
  done(fettle("train --resume --out {}/run --epochs 4"));
  EXPECT_EQ(json("run/config.json")["threshold_goal"], "");

  // The other class is the good one if somebody says so.
  done(fettle("report {}/run --good '" + bad + "' --out {}/other.html"));
  EXPECT_TRUE(ReportPage(path("other.html")).says("Missed: defective, but called “" + bad + "”"));
  expect_refused(fettle("report {}/run --good best"), {"--good best", bad + ";good"});
}

TEST_F(Report, NeedsNoHistoryButNoBrokenOne) {
  make_two_classes(6);
  train("data", 1);
  std::filesystem::remove(path("run/history.csv"));
  done(fettle("report {}/run"));
  const ReportPage page(path("run/report.html"));
  page.expect_self_contained();
  EXPECT_TRUE(page.says("The run folder has no history.csv"));
  EXPECT_EQ(page.says("which is kept"), false);

  const std::string before = content(path("run/report.html"));
  write_bytes(path("run/history.csv"), "epoch,loss\n1,much\n");
  expect_refused(fettle("report {}/run"), {"history.csv', line 2", "'much'"});
  EXPECT_EQ(content(path("run/report.html")), before) << "the page of before stays";
  expect_nothing_half_written();
}

TEST_F(Report, LeavesNothingWhereItCannotWrite) {
  make_two_classes(6);
  train("data", 1);
  std::filesystem::create_directories(path("taken"));
  write_bytes(path("file"), "");
  expect_refused(fettle("report {}/run --out {}/taken"), {"taken", "cannot write"});
  expect_refused(fettle("report {}/run --out {}/file/page.html"), {"/file'"});
  expect_refused(fettle("report {}/nothing"), {"nothing", "does not exist"});
  EXPECT_FALSE(std::filesystem::exists(path("nothing")));
  expect_refused(fettle("report {}/run --data {}/nothing"), {"nothing"});
  EXPECT_FALSE(std::filesystem::exists(path("run/report.html")));
  expect_nothing_half_written();
  EXPECT_EQ(fettle("report").code, 2);
  EXPECT_EQ(fettle("report {}/run --threshold 2").code, 2);
  EXPECT_EQ(fettle("report {}/run --choose-threshold f1").code, 2);
}

TEST_F(Report, OfManyClassesNamesTheWorstOne) {
  for (int i = 0; i < 6; ++i)
    for (int k = 0; k < 3; ++k)
      write_png(folder_ / cat("data/", "abc"[k], "/", i, ".png"),
                plain_picture(16, 16, 90 * k + i));
  train("data", 1);
  done(fettle("evaluate {}/run --data {}/data --out {}/e"));
  done(fettle("report {}/run --data {}/data"));
  const ReportPage page(path("run/report.html"));
  page.expect_self_contained();
  const nlohmann::json metrics = json("e/metrics.json");
  page.expect_figures(metrics, {"/accuracy", "/confusion_matrix/2/0", "/classes/b/f1",
                                "/macro_avg/recall", "/classes/a/average_precision"});
  const auto right = std::lround(18 * metrics["accuracy"].get<double>());
  EXPECT_TRUE(page.says(cat("It gave the right answer for ", right, " of them")));
  EXPECT_EQ(page.gallery("Wrong class").size(), 18u - right);
  done(fettle("report {}/run --data {}/data --good c"));
  const auto matrix = metrics["confusion_matrix"].get<std::vector<std::vector<int>>>();
  EXPECT_TRUE(ReportPage(path("run/report.html"))
                  .says(cat("It found ", 12 - matrix[0][2] - matrix[1][2], " of 12 defective")));
}

TEST_F(Report, TakesNoSideWhereNoNameSaysWhichClassIsGood) {
  for (int i = 0; i < 8; ++i) {
    write_png(folder_ / cat("data/not_ok/", i, ".png"), plain_picture(16, 16, 30 + i));
    write_png(folder_ / cat("data/scrap/", i, ".png"), plain_picture(16, 16, 40 + i));
  }
  train("data", 1);
  done(fettle("evaluate {}/run --data {}/data --out {}/e"));
  done(fettle("report {}/run --data {}/data"));
  const ReportPage page(path("run/report.html"));
  page.expect_self_contained();
  const nlohmann::json metrics = json("e/metrics.json");
  page.expect_figures(metrics, {"/at_threshold/classes/not_ok/recall"});
  const auto matrix =
      metrics["at_threshold"]["confusion_matrix"].get<std::vector<std::vector<size_t>>>();
  EXPECT_TRUE(page.says(cat("It gave the right answer for ", matrix[0][0] + matrix[1][1])));
  EXPECT_TRUE(page.says("Recognised: scrap"));
  EXPECT_EQ(page.gallery("“not_ok”, but called “scrap”").size(), matrix[0][1]);
  EXPECT_EQ(page.gallery("“scrap”, but called “not_ok”").size(), matrix[1][0]);
}

class ReportOfLabels : public Labels {};

TEST_F(ReportOfLabels, ShowsWhichWereMissedAndWhichGivenInVain) {
  make("learn", 0, 32);
  make("new", 100, 140);
  done(train("run", "columns.csv --epochs 2 --bn-momentum 0.8"));
  const std::string data = " --data {}/new/pictures --labels {}/new/columns.csv --threshold 0.5 ";
  done(fettle("evaluate {}/run" + data + "--out {}/e"));
  done(fettle("predict {}/run {}/new/pictures --threshold 0.5 --out {}/p"));
  done(fettle("report {}/run" + data));
  const ReportPage page(path("run/report.html"));
  page.expect_self_contained();
  page.expect_figures(json("e/metrics.json"),
                      {"/exact_match", "/accuracy", "/pictures/found", "/classes/left/missed",
                       "/classes/right/false_alarms", "/micro_avg/f1", "/classes/left/support"});

  std::vector<double> missed, in_vain;
  for (const CsvLine& row : table("p/predictions.csv")) {
    if (row.number == 1) continue;
    const bool truth[] = {left(number(row.fields[0])), right(number(row.fields[0]))};
    for (size_t k = 0; k < 2; ++k) {
      const double p = std::stod(row.fields[2 + k]);
      if (truth[k] && p < 0.5) missed.push_back(p);
      if (!truth[k] && p >= 0.5) in_vain.push_back(p);
    }
  }
  ASSERT_GT(missed.size() + in_vain.size(), 0u) << "too good to show anything";
  const nlohmann::json metrics = json("e/metrics.json")["classes"];
  const auto both = [&](const char* figure) {
    return metrics["left"][figure].get<size_t>() + metrics["right"][figure].get<size_t>();
  };
  EXPECT_EQ(both("missed"), missed.size());
  EXPECT_EQ(both("false_alarms"), in_vain.size());
  EXPECT_EQ(both("found"), both("support") - missed.size());
  std::sort(missed.begin(), missed.end());
  std::sort(in_vain.rbegin(), in_vain.rend());
  const auto expect_shown = [&](const std::string& heading, std::vector<double> expected) {
    expected.resize(std::min<size_t>(expected.size(), 12));
    std::vector<double> shown;
    for (const Shown& one : page.gallery(heading)) shown.push_back(std::stod(one.probability));
    EXPECT_EQ(shown, expected) << heading;
  };
  done(fettle(page.training("{}/again")));
  EXPECT_EQ(content(path("again/model.safetensors")), content(path("run/model.safetensors")));
  expect_shown("Missed labels", missed);
  expect_shown("Labels given in vain", in_vain);
}

class ReportOfMasks : public MaskCommands {};

TEST_F(ReportOfMasks, DrawsTheWorstAndTheBest) {
  ASSERT_EQ(train_usual("--epochs 4 --early-stopping 0").code, 0);
  ASSERT_EQ(fettle("evaluate {}/run --choose-threshold f1 --out {}/v").code, 0);
  ASSERT_EQ(fettle("evaluate {}/run --data {}/steel --out {}/e").code, 0);
  const Outcome reported = fettle("report {}/run --data {}/steel");
  ASSERT_EQ(reported.code, 0) << reported.err;
  const ReportPage page(path("run/report.html"));
  page.expect_self_contained();
  page.expect_figures(json("e/metrics.json"),
                      {"/dice", "/iou", "/dice_per_picture", "/pictures/found", "/threshold",
                       "/pictures/missed", "/classes/1/dice", "/classes/2/pixels"});
  EXPECT_TRUE(page.says("It was chosen on the validation pictures, for the best Dice"));
  EXPECT_TRUE(page.says("Kinds are counted one by one, and drawn masks exclude each other"));

  // The galleries from pictures.csv: of each picture true and drawn pixels, and the mean Dice over
  // the kinds that occur.
  struct Sums {
    double truth = 0, found = 0, dice = 0, kinds = 0;
  };
  std::map<std::string, Sums> pictures;
  for (const CsvLine& row : table("e/pictures.csv")) {
    if (row.number == 1) continue;
    Sums& sums = pictures[std::filesystem::path(row.fields[0]).filename().string()];
    const double truth = std::stod(row.fields[3]), found = std::stod(row.fields[4]);
    sums.truth += truth;
    sums.found += found;
    if (truth + found == 0) continue;
    sums.dice += std::stod(row.fields[2]);
    ++sums.kinds;
  }
  size_t missed = 0, in_vain = 0, drawn = 0;
  for (const auto& [name, sums] : pictures) {
    missed += sums.truth > 0 && sums.found == 0;
    in_vain += sums.truth == 0 && sums.found > 0;
    drawn += sums.truth > 0 && sums.found > 0;
  }
  ASSERT_GE(drawn, 2u) << "nothing is drawn";
  EXPECT_EQ(page.gallery("Missed").size(), std::min<size_t>(missed, 12));
  EXPECT_EQ(page.gallery("False alarms").size(), std::min<size_t>(in_vain, 12));
  const std::vector<Shown> worst = page.gallery("Found, but drawn worst");
  const std::vector<Shown> best = page.gallery("Found and drawn best");
  EXPECT_EQ(worst.size(), (drawn + 1) / 2);
  EXPECT_EQ(best.size(), drawn / 2);
  const auto dice = [&](const Shown& one) {
    const Sums& sums = pictures.at(one.name);
    return sums.dice / sums.kinds;
  };
  for (size_t i = 1; i < worst.size(); ++i) EXPECT_LE(dice(worst[i - 1]), dice(worst[i]) + 1e-4);
  for (size_t i = 1; i < best.size(); ++i) EXPECT_GE(dice(best[i - 1]), dice(best[i]) - 1e-4);
  EXPECT_LE(dice(worst.back()), dice(best.back()) + 1e-4);

  // Outlines tell apart by their style what is true and what is drawn.
  const size_t shots = page.count("figure", "shot");
  EXPECT_EQ(page.count("div", "drawn"), shots);
  EXPECT_GE(page.count("path", "truth"), 1 + missed + worst.size() + best.size());
  EXPECT_GE(page.count("path", "found"), 2 + worst.size() + best.size());
  expect_refused(fettle("report {}/run --good 1"), {"--good", "classes"});

  const Outcome again = fettle(page.training("{}/again"));
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(content(path("again/model.safetensors")), content(path("run/model.safetensors")));
}

}  // namespace
}  // namespace fettle
