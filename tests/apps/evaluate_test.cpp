// What fettle evaluate says of a classifier's probabilities.
#include <cmath>
#include <nlohmann/json.hpp>

#include "io/csv.h"
#include "io/picture.h"
#include "tests/apps/program.h"
#include "tests/io/pictures.h"

namespace fettle {
namespace {

/// Pictures whose brightness tells two classes apart, but for a fifth that lie.
class Evaluate : public Program {
 protected:
  void SetUp() override {
    for (int i = 0; i < 40; ++i) {
      const bool lies = i % 5 == 0;
      write_png(folder_ / cat("data/bad/", i, ".png"),
                plain_picture(16, 16, lies ? 200 + i : 30 + i));
      write_png(folder_ / cat("data/good/", i, ".png"),
                plain_picture(16, 16, lies ? 30 + i : 200 + i));
    }
  }
  Outcome train(const std::string& model) {
    return fettle(cat("train --model ", model, " --data {}/data --image-size 22 --batch-size 8 ",
                      "--epochs 8 --loss focal --class-weights balanced --validation-split 0.4 ",
                      "--seed 4 --out {}/", model));
  }
  nlohmann::json json(const std::string& file) {
    return nlohmann::json::parse(content(path(file)));
  }
};

TEST_F(Evaluate, ReportsCurvesAndAverages) {
  ASSERT_EQ(train("tyre_cnn").code, 0);
  const Outcome evaluated = fettle("evaluate {}/tyre_cnn --data {}/data --out {}/e");
  ASSERT_EQ(evaluated.code, 0) << evaluated.err;
  EXPECT_NE(evaluated.out.find("macro avg"), std::string::npos) << evaluated.out;
  EXPECT_NE(evaluated.out.find("weighted avg"), std::string::npos) << evaluated.out;
  const nlohmann::json metrics = json("e/metrics.json");
  const auto confusion = metrics["confusion_matrix"].get<std::vector<std::vector<double>>>();
  EXPECT_GT(metrics["accuracy"], 0.6);
  EXPECT_NEAR(metrics["accuracy"], (confusion[0][0] + confusion[1][1]) / 80, 1e-12);
  EXPECT_NEAR(metrics["macro_avg"]["recall"], (confusion[0][0] + confusion[1][1]) / 80, 1e-12);
  EXPECT_NEAR(metrics["classes"]["good"]["roc_auc"], metrics["auc"].get<double>(), 0.02);
  EXPECT_GE(metrics["expected_calibration_error"], 0);

  const std::vector<CsvLine> roc = read_csv(path("e/roc_curve.csv"));
  EXPECT_EQ(roc[0].fields, (std::vector<std::string>{"class", "threshold", "false_positive_rate",
                                                     "true_positive_rate"}));
  EXPECT_EQ(roc.back().fields[0], "good");
  EXPECT_EQ(roc.back().fields[2], "1");
  EXPECT_EQ(read_csv(path("e/precision_recall_curve.csv")).size(), roc.size());
  for (const char* file : {"e/roc_curve.svg", "e/precision_recall_curve.svg"}) {
    EXPECT_TRUE(content(path(file)).starts_with("<svg ")) << file;
    EXPECT_TRUE(content(path(file)).ends_with("</svg>\n")) << file;
  }
  expect_nothing_half_written();
}

// Two logits and one.
TEST_F(Evaluate, CalibrationMakesProbabilitiesTruerAndKeepsVerdicts) {
  for (const std::string model : {"tyre_cnn", "wreck_cnn"}) {
    ASSERT_EQ(train(model).code, 0);
    ASSERT_EQ(fettle("evaluate {}/" + model + " --choose-threshold recall=0.7").code, 0);
    ASSERT_EQ(fettle("evaluate {}/" + model + " --out {}/before").code, 0);
    const Outcome calibrated = fettle("evaluate {}/" + model + " --calibrate --out {}/after");
    ASSERT_EQ(calibrated.code, 0) << calibrated.err;
    const nlohmann::json before = json("before/metrics.json"), after = json("after/metrics.json");
    const double temperature = json(model + "/config.json")["temperature"];
    EXPECT_NE(temperature, 1) << model;
    EXPECT_EQ(after["calibration"]["temperature"], temperature);
    EXPECT_LE(after["loss"], before["loss"]) << model;
    EXPECT_EQ(after["at_threshold"], before["at_threshold"]) << model;
    EXPECT_NEAR(after["calibration"]["expected_calibration_error_before"],
                before["expected_calibration_error"], 1e-6);
    EXPECT_EQ(after["calibration"]["expected_calibration_error_after"],
              after["expected_calibration_error"]);

    // Once it is fitted there is nothing left to fit, and predict uses it.
    ASSERT_EQ(fettle("evaluate {}/" + model + " --calibrate --out {}/again").code, 0);
    EXPECT_NEAR(json(model + "/config.json")["temperature"], temperature, 1e-3 * temperature);
    ASSERT_EQ(fettle("evaluate {}/" + model + " --out {}/then").code, 0);
    EXPECT_NEAR(json("then/metrics.json")["loss"], after["loss"], 1e-5);
  }
  expect_wrong_arguments(fettle("evaluate {}/tyre_cnn --calibrate --data {}/data"),
                         {"--calibrate", "validation pictures"});
  expect_wrong_arguments(fettle("evaluate {}/tyre_cnn --calibrate --threshold 0.4"), {"not both"});
}

}  // namespace
}  // namespace fettle
