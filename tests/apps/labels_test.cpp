// The commands on pictures that have any of several labels.
#include <nlohmann/json.hpp>

#include "engine/tensor.h"
#include "io/csv.h"
#include "io/picture.h"
#include "io/safetensors.h"
#include "tests/apps/labelled_pictures.h"
#include "tests/io/onnx_check.h"
#include "tests/io/pictures.h"

namespace fettle {
namespace {

using Json = nlohmann::json;

TEST_F(Labels, AreLearnedEvaluatedAndPredicted) {
  train_well("run", 32, 4);
  const Json config = json("run/config.json");
  EXPECT_EQ(config["multi_label"], true);
  EXPECT_EQ(config["classes"], (std::vector<std::string>{"left", "right"}));
  const std::vector<CsvLine> history = table("run/history.csv");
  for (const char* figure : {"val_accuracy", "val_micro_f1", "val_macro_recall", "val_auc",
                             "val_left_precision", "val_right_auc"})
    EXPECT_EQ(std::count(history[0].fields.begin(), history[0].fields.end(), figure), 1) << figure;

  make("new", 100, 140);
  const Outcome predicted = fettle("predict {}/run {}/new/pictures --out {}/p");
  done(predicted);
  const std::vector<CsvLine> rows = table("p/predictions.csv");
  ASSERT_EQ(rows.size(), 41u);
  EXPECT_EQ(rows[0].fields, (std::vector<std::string>{"path", "labels", "left", "right"}));
  std::map<std::string, std::vector<int>> counts;  // hits, calls, pictures
  int exact = 0;
  for (size_t i = 1; i < rows.size(); ++i) {
    const std::vector<std::string>& f = rows[i].fields;
    const bool says_left = std::stod(f[2]) >= 0.5, says_right = std::stod(f[3]) >= 0.5;
    EXPECT_EQ(f[1], cat(says_left ? "left" : "", says_left && says_right ? ";" : "",
                        says_right ? "right" : ""));
    const int n = number(f[0]);
    exact += says_left == left(n) && says_right == right(n);
    for (const auto& [name, says, is] :
         {std::tuple{"left", says_left, left(n)}, {"right", says_right, right(n)}}) {
      counts[name].resize(3);
      counts[name][0] += says && is;
      counts[name][1] += says;
      counts[name][2] += is;
    }
  }
  EXPECT_GE(exact, 37) << "of 40";

  // What evaluate says of the same pictures follows from these answers.
  for (const std::string labels : {"--labels {}/new/columns.csv", "--labels {}/new/names.csv"}) {
    const Outcome evaluated = fettle("evaluate {}/run --data {}/new/pictures --out {}/e " + labels);
    done(evaluated);
    for (const char* part : {"micro avg", "macro avg", "weighted avg", "samples avg"})
      EXPECT_NE(evaluated.out.find(part), std::string::npos) << evaluated.out;
    EXPECT_NE(evaluated.err.find("40 pictures, 2 labels, 10 pictures with none"), std::string::npos)
        << evaluated.err;
    const Json metrics = json("e/metrics.json");
    EXPECT_EQ(metrics["examples"], 40);
    EXPECT_NEAR(metrics["exact_match"], exact / 40.0, 1e-12);
    for (const auto& [name, c] : counts) {
      EXPECT_NEAR(metrics["classes"][name]["precision"], double(c[0]) / c[1], 1e-12) << name;
      EXPECT_NEAR(metrics["classes"][name]["recall"], double(c[0]) / c[2], 1e-12) << name;
      EXPECT_EQ(metrics["classes"][name]["support"], 20) << name;
      EXPECT_GE(metrics["classes"][name]["roc_auc"], 0.95) << name;
    }
    const std::vector<int>&l = counts["left"], &r = counts["right"];
    EXPECT_NEAR(metrics["micro_avg"]["precision"], double(l[0] + r[0]) / (l[1] + r[1]), 1e-12);
    EXPECT_EQ(table("e/roc_curve.csv").back().fields[0], "right");
  }
  expect_nothing_half_written();
}

TEST_F(Labels, EachThatIsPredictedIsExplained) {
  train_well("run", 96, 6);
  make("new", 100, 124);
  const Outcome explained = fettle("predict {}/run {}/new/pictures --out {}/p --explain");
  done(explained);
  int predicted = 0, inside = 0;
  for (const CsvLine& line : table("p/predictions.csv"))
    predicted += line.fields[1] == "left;right" ? 2 : line.number > 1 && !line.fields[1].empty();
  EXPECT_GE(predicted, 20);
  const std::vector<CsvLine> rows = table("p/explanations.csv");
  ASSERT_EQ(static_cast<int>(rows.size()), predicted + 1);
  for (const CsvLine& row : rows) {
    if (row.number == 1) continue;
    const std::string& label = row.fields[1];
    EXPECT_TRUE(std::filesystem::exists(
        path(cat("p/explanations/", number(row.fields[0]), ".png.", label, ".png"))));
    if (!row.fields[3].empty()) inside += (std::stoi(row.fields[3]) < 16) == (label == "left");
  }
  EXPECT_GE(inside, 0.9 * predicted) << "of " << predicted;
  // From a threshold that nothing reaches there is nothing to show.
  const Outcome none =
      fettle("predict {}/run {}/new/pictures --out {}/none --explain --threshold 1");
  done(none);
  EXPECT_EQ(table("none/explanations.csv").size(), 1u) << none.err;
}

// Two labels on a model whose two classes are one logit; weights and focal loss.
TEST_F(Labels, AResumedRunAndTheOtherTableGiveTheSameBytes) {
  make("learn", 0, 24);
  const std::string options = " --loss focal --class-weights balanced --early-stopping 0";
  done(train("whole", "columns.csv --epochs 4 --threads 1" + options, "wreck_cnn"));
  done(train("parts", "columns.csv --epochs 2 --threads 2" + options, "wreck_cnn"));
  EXPECT_NE(content(path("parts/model.safetensors")), content(path("whole/model.safetensors")));
  done(fettle("train --resume --out {}/parts --epochs 4"));
  done(train("names", "names.csv --epochs 4" + options, "wreck_cnn"));
  for (const char* run : {"parts/", "names/"})
    for (const char* file : {"model.safetensors", "history.csv", "checkpoint/last.safetensors"})
      EXPECT_EQ(content(path(cat(run, file))), content(path(cat("whole/", file)))) << run << file;
  write_bytes(path("learn/columns.csv"),
              "path,right,left\n0.png,1,0\n1.png,0,1\n2.png,1,1\n3.png,0,1\n");
  expect_refused(fettle("train --resume --out {}/whole --epochs 5"), {"no longer"});
}

// The table lies about a fifth of the pictures, so that no answer is sure.
TEST_F(Labels, ThresholdAndTemperatureAreThoseOfAllLabels) {
  make("learn", 0, 80);
  std::string lying = "path,left,right\n";
  for (int i = 0; i < 80; ++i)
    lying += cat(i, ".png,", left(i) != (i % 5 == 0) ? 1 : 0, ",", right(i) ? 1 : 0, "\n");
  write_bytes(path("learn/lying.csv"), lying);
  done(train("run", "lying.csv --epochs 5 --bn-momentum 0.5"));
  const Outcome chosen = fettle("evaluate {}/run --choose-threshold recall=0.9 --out {}/before");
  done(chosen);
  const Json before = json("before/metrics.json");
  EXPECT_GE(before["micro_avg"]["recall"], 0.9);
  EXPECT_EQ(before["threshold"], json("run/config.json")["threshold"]);
  EXPECT_NE(before["threshold"], 0.5);
  done(fettle("evaluate {}/run --calibrate --out {}/after"));
  const Json after = json("after/metrics.json");
  const double temperature = json("run/config.json")["temperature"];
  EXPECT_NE(temperature, 1);
  EXPECT_EQ(after["calibration"]["temperature"], temperature);
  EXPECT_LE(after["loss"], before["loss"]);
  for (const char* average : {"micro_avg", "macro_avg", "weighted_avg", "samples_avg"})
    EXPECT_EQ(after[average], before[average]) << average;
  EXPECT_NEAR(after["calibration"]["expected_calibration_error_before"],
              before["expected_calibration_error"], 1e-6);
  done(fettle("evaluate {}/run --choose-threshold f1 --out {}/f1"));
  EXPECT_GE(json("f1/metrics.json")["micro_avg"]["f1"].get<double>(),
            after["micro_avg"]["f1"].get<double>());
}

// fettle-predict and ONNX Runtime, with a temperature, a threshold and one label or two.
TEST_F(Labels, ExportedFilesSayWhatPredictSays) {
  make("learn", 0, 16);
  write_bytes(path("learn/one.csv"), "path,left\n0.png,0\n1.png,1\n2.png,0\n3.png,1\n4.png,0\n");
  for (const auto& [model, labels] : {std::pair{"defect_cnn", "columns.csv"},
                                      {"tyre_cnn", "one.csv"},
                                      {"wreck_cnn", "names.csv"},
                                      {"wreck_cnn", "one.csv"},
                                      {"resnet18", "names.csv"}}) {
    const bool resnet = model == std::string("resnet18");
    done(train("run", cat(labels, " --epochs 1", resnet ? " --width 8" : ""), model));
    Json config = json("run/config.json");
    config["temperature"] = 1.7;
    config["threshold"] = 0.48;
    write_bytes(path("run/config.json"), config.dump());
    done(fettle("predict {}/run {}/learn/pictures --out {}/p"));
    done(fettle("export {}/run --single-file {}/run.fettle"));
    const Outcome said = run(FETTLE_PREDICT, "{}/run.fettle {}/learn/pictures");
    done(said);
    write_bytes(path("said.csv"), said.out);
    const std::vector<CsvLine> theirs = table("p/predictions.csv"), ours = table("said.csv");
    ASSERT_EQ(ours.size(), 17u);
    EXPECT_EQ(ours[0].fields, theirs[0].fields);
    for (size_t i = 1; i < ours.size(); ++i) {
      for (size_t k = 2; k < ours[0].fields.size(); ++k) {
        const double p = std::stod(ours[i].fields[k]);
        EXPECT_NEAR(p, std::stod(theirs[i].fields[k]), 1e-5) << model;
        const bool named = (';' + ours[i].fields[1] + ';').find(';' + ours[0].fields[k] + ';') !=
                           std::string::npos;
        EXPECT_EQ(named, p >= 0.48) << model;
      }
    }

    if (has_onnx_runtime()) {
      std::filesystem::create_directories(path("onnx"));
      done(fettle("export {}/run --onnx {}/onnx/run.onnx"));
      std::vector<float> probabilities;
      for (size_t k = 2; k < theirs[1].fields.size(); ++k)
        probabilities.push_back(std::stof(theirs[1].fields[k]));
      const Picture picture = read_picture(theirs[1].fields[0], 3);
      const std::vector<float> pixels(picture.pixels.begin(), picture.pixels.end());
      write_safetensors(
          path("onnx/run.safetensors"),
          {{"x", Tensor::from({1, 32, 32, 3}, pixels)},
           {"probabilities", Tensor::from({1, std::ssize(probabilities)}, probabilities)}});
      expect_onnx_agrees(path("onnx"));
    }
    std::filesystem::remove_all(path("run"));
  }
}

TEST_F(Labels, AGpuChangesNothingButTheDevice) {
  make("learn", 0, 8);
  done(
      train("run", "columns.csv --epochs 1 --class-weights balanced --device cpu", "tyre_cnn", 16));
  const std::string evaluate =
      "evaluate {}/run --data {}/learn/pictures --labels "
      "{}/learn/names.csv --out {}/";
  done(fettle(evaluate + "here --device cpu"));
  done(fettle_with_gpu(evaluate + "there --device cuda"));
  const Json here = json("here/metrics.json"), there = json("there/metrics.json");
  EXPECT_NEAR(there["loss"].get<double>() / here["loss"].get<double>(), 1, 1e-4);
  EXPECT_EQ(there["classes"]["left"]["support"], 4);
  const Outcome resumed = fettle_with_gpu("train --resume --out {}/run --epochs 2 --device cuda");
  done(resumed);
  EXPECT_NE(resumed.err.find("Going on after epoch 1"), std::string::npos) << resumed.err;
}

TEST_F(Labels, ValidationPicturesHaveATableOfTheirOwn) {
  make("learn", 0, 8);
  make("check", 20, 26);
  const std::string begin = "columns.csv --epochs 1 --validation-data {}/check/pictures ";
  expect_refused(train("run", begin), {"labels.csv", "--labels FILE", path("check/pictures")});
  const Outcome named = train("run", begin + "--validation-labels {}/check/names.csv");
  done(named);
  EXPECT_NE(named.err.find("8 to train, 6 to validate, with the labels left (4), right (4)"),
            std::string::npos)
      << named.err;
  done(fettle("evaluate {}/run"));
  EXPECT_EQ(json("run/metrics.json")["examples"], 6);
  // The usual name needs no option.
  std::filesystem::copy(path("check/columns.csv"), path("check/pictures/labels.csv"));
  done(train("other", begin));
  done(fettle("evaluate {}/run --data {}/check/pictures"));
  expect_wrong_arguments(train("third", "columns.csv --validation-labels {}/check/names.csv"),
                         {"--validation-labels needs"});
  // Where no label tells the pictures to validate apart, val_auc stays 0.
  write_bytes(path("check/none.csv"), "path,left,right\n20.png,0,1\n24.png,0,1\n");
  const std::string alike = begin + "--validation-labels {}/check/none.csv ";
  expect_refused(train("fourth", alike + "--monitor val_auc"),
                 {"--monitor val_auc", path("check/pictures"), "have the same labels"});
  const Outcome trained = train("fourth", alike);
  done(trained);
  EXPECT_NE(trained.err.find("so that val_auc means nothing"), std::string::npos) << trained.err;
}

TEST_F(Labels, WhatDoesNotFitIsRefused) {
  make("learn", 0, 12);
  make_two_classes(4);
  write_bytes(path("learn/wrong.csv"), "path,left\n0.png,0\n1.png,maybe\n");
  write_bytes(path("learn/lost.csv"), "path,left\n0.png,0\nlost.png,1\n");
  write_bytes(path("learn/rare.csv"),
              "path,left,rust\n0.png,0,0\n1.png,1,0\n2.png,0,0\n3.png,1,0\n");
  expect_refused(train("run", "wrong.csv"), {"wrong.csv', line 3", "'maybe'"});
  expect_refused(train("run", "lost.csv"), {"lost.csv', line 3", "'lost.png'"});
  expect_refused(train("run", "nothing.csv"), {"nothing.csv"});
  expect_refused(train("run", "rare.csv --class-weights balanced"), {"no picture", "'rust'"});
  expect_wrong_arguments(train("run", "columns.csv", "res_unet"), {"labels are for classifiers"});
  expect_wrong_arguments(train("run", "columns.csv --format class-folders"),
                         {"--labels", "leave one"});
  expect_wrong_arguments(train("run", "columns.csv --loss dice"), {"--loss dice"});
  expect_wrong_arguments(train("run", "columns.csv --width 8 --head pool,dense=1", "resnet18"),
                         {"--head", "2 labels", "write dense=2"});
  EXPECT_FALSE(std::filesystem::exists(path("run")));

  done(train("run", "columns.csv --epochs 1"));
  done(
      fettle("train --model defect_cnn --data {}/data --out {}/classes --image-size 32 "
             "--epochs 1"));
  expect_refused(fettle("evaluate {}/run --data {}/data"), {"--labels FILE"});
  expect_refused(fettle("evaluate {}/run --data {}/data --format class-folders"),
                 {"several labels"});
  expect_refused(fettle("evaluate {}/classes --data {}/learn/pictures --labels "
                        "{}/learn/columns.csv"),
                 {"not trained on a table of labels"});
  expect_refused(fettle("evaluate {}/run --data {}/learn/pictures --labels {}/learn/rare.csv"),
                 {"rust"});
  expect_refused(fettle("inspect --classifier {}/run --segmenter {}/run {}/learn/pictures"),
                 {"several labels", "good and defective"});
}

TEST_F(Labels, TheSummaryTakesTheHeadOfAResnet) {
  const Outcome summary =
      fettle("summary --model resnet18 --image-size 32 --classes 3 --head pool,dense=7:relu,dense");
  done(summary);
  // 512 * 7 + 7 and 7 * 3 + 3.
  EXPECT_NE(summary.out.find("3,591"), std::string::npos) << summary.out;
  EXPECT_NE(summary.out.find("24"), std::string::npos) << summary.out;
  expect_wrong_arguments(fettle("summary --model tyre_cnn --head pool,dense"),
                         {"--head", "tyre_cnn"});
  expect_wrong_arguments(fettle("summary --model resnet18 --head pool"),
                         {"--head", "must be dense"});
}

}  // namespace
}  // namespace fettle
