// What a run folder keeps, and what a run that goes on may change.
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "io/folder.h"
#include "tests/apps/program.h"

namespace fettle {
namespace {

class Resume : public Program {
 protected:
  void SetUp() override { make_two_classes(8); }

  Outcome train(const std::string& more, const std::string& before = "") {
    return fettle(
        "train --model defect_cnn --data {}/data --out {}/run --image-size 16 --batch-size 4 "
        "--early-stopping 0 " +
            more,
        before);
  }
  Outcome resume(const std::string& more) { return fettle("train --resume --out {}/run " + more); }

  nlohmann::json config() { return nlohmann::json::parse(content(path("run/config.json"))); }
  void write(const nlohmann::json& config) { write_bytes(path("run/config.json"), config.dump(2)); }
};

TEST_F(Resume, OptionsThatDifferFromTheRunsAreRefused) {
  ASSERT_EQ(train("--epochs 2 --seed 7 --monitor val_accuracy").code, 0);
  const std::string before = content(path("run/config.json"));
  for (const auto& [option, has] : {std::pair{"learning-rate 0.5", "begun without --learning-rate"},
                                    {"model resnet18", "with defect_cnn"},
                                    {"image-size 99", "with 16x16"},
                                    {"image-size 16x17", "with 16x16"},
                                    {"seed 8", "with 7"},
                                    {"channels 1", "with 3"},
                                    {"batch-size 5", "with 4"},
                                    {"validation-split 0.3", "with 0.2"},
                                    {"monitor val_loss", "with val_accuracy"},
                                    {"augment none", "with default"},
                                    {"bn-momentum 0", "begun without --bn-momentum"},
                                    {"bn-first", "begun without --bn-first"},
                                    {"crop 16", "begun without --crop"},
                                    {"weights x", "begun without --weights"}})
    expect_wrong_arguments(
        resume(cat("--epochs 3 --", option)),
        {cat("--", option).substr(0, cat(option).find(' ') + 2), has, "another --out"});
  EXPECT_EQ(content(path("run/config.json")), before);
  const Outcome same = resume(
      "--epochs 3 --seed 7 --batch-size 4 --image-size 16 --model defect_cnn --cache --device cpu "
      "--threads 1 --precision fp32 --skip-broken --validation-split 0.20 --data {}/data");
  EXPECT_EQ(same.code, 0) << same.err;
  EXPECT_EQ(config()["options"]["epochs"], "3");
}

TEST_F(Resume, FewerEpochsThanThereAreAreRefused) {
  ASSERT_EQ(train("--epochs 3").code, 0);
  expect_wrong_arguments(resume("--epochs 2"), {"--epochs 2", "has trained 3 epochs", "give more"});
  EXPECT_EQ(config()["options"]["epochs"], "3");
  const Outcome done = resume("");
  EXPECT_EQ(done.code, 0) << done.err;
}

TEST_F(Resume, WhatWasChosenForOtherWeightsIsForgotten) {
  ASSERT_EQ(train("--epochs 2").code, 0);
  nlohmann::json chosen = config();
  chosen["threshold"] = 0.125;
  chosen["threshold_goal"] = "f1";
  chosen["temperature"] = 2.5;
  write(chosen);
  const Outcome same = resume("");
  ASSERT_EQ(same.code, 0) << same.err;
  EXPECT_EQ(same.err.find("threshold"), std::string::npos) << same.err;
  EXPECT_EQ(config()["threshold"], 0.125);
  const Outcome more = resume("--epochs 3");
  ASSERT_EQ(more.code, 0) << more.err;
  EXPECT_NE(more.err.find("the threshold and the temperature were chosen for the weights before"),
            std::string::npos)
      << more.err;
  EXPECT_EQ(config()["threshold"], 0.5);
  EXPECT_EQ(config()["threshold_goal"], "");
  EXPECT_EQ(config()["temperature"], 1);
  // The best one may have been 0.5.
  chosen = config();
  chosen["threshold_goal"] = "f1";
  write(chosen);
  ASSERT_EQ(resume("--epochs 4").code, 0);
  EXPECT_EQ(config()["threshold_goal"], "");
}

TEST_F(Resume, FiguresOfOtherWeightsDoNotStay) {
  const auto files = [&] { return sorted_entries(path("run"), false); };
  const auto measure = [&] {
    ASSERT_EQ(fettle("evaluate {}/run --choose-threshold f1").code, 0);
    ASSERT_EQ(fettle("report {}/run").code, 0);
  };
  ASSERT_EQ(train("--epochs 1").code, 0);
  write_bytes(path("run/notes.txt"), "mine");
  const auto trained = files();
  measure();
  const auto measured = files();
  EXPECT_GT(measured.size(), trained.size());
  const Outcome same = resume("");
  ASSERT_EQ(same.code, 0) << same.err;
  EXPECT_EQ(files(), measured);
  EXPECT_EQ(config()["threshold_goal"], "f1");

  const std::string weights = content(path("run/model.safetensors"));
  const Outcome further = resume("--epochs 4");
  ASSERT_EQ(further.code, 0) << further.err;
  EXPECT_EQ(files(), trained);
  EXPECT_NE(further.err.find("metrics.json, roc_curve.csv, roc_curve.svg, "
                             "precision_recall_curve.csv, precision_recall_curve.svg, report.html: "
                             "removed, as they are of the weights before"),
            std::string::npos)
      << further.err;
  EXPECT_EQ(config()["threshold_goal"], "");
  ASSERT_NE(content(path("run/model.safetensors")), weights);

  // A training that stopped between its last checkpoint and the weights: what was measured
  // meanwhile is of those before.
  write_bytes(path("run/model.safetensors"), weights);
  measure();
  const Outcome ended = resume("");
  ASSERT_EQ(ended.code, 0) << ended.err;
  ASSERT_NE(content(path("run/model.safetensors")), weights);
  EXPECT_EQ(files(), trained);
  EXPECT_EQ(config()["threshold_goal"], "");
}

TEST_F(Resume, PicturesThatChangedAreRefused) {
  ASSERT_EQ(train("--epochs 2").code, 0);
  EXPECT_EQ(config()["data_checksum"].get<std::string>().size(), 8u);
  std::filesystem::rename(path("data/bad/3.jpg"), path("3.jpg"));
  expect_refused(resume("--epochs 3"), {path("data"), "no longer those of the run"});
  expect_refused(fettle("evaluate {}/run"), {path("data"), "no longer those of the run"});
  std::filesystem::rename(path("3.jpg"), path("data/good/3.jpg"));
  expect_refused(resume("--epochs 3"), {"no longer those of the run"});

  nlohmann::json old = config();
  old.erase("data_checksum");
  old["options"]["bn-momentum"] = "0";  // as it was written when the model's own was meant
  old["options"]["kinds"] = "one";      // which did nothing, and was not refused
  write(old);
  const Outcome resumed = resume("--epochs 3");
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_EQ(config()["options"]["bn-momentum"], "");
}

TEST_F(Resume, ARunFindsItsPicturesFromEverywhereAndElsewhere) {
  const std::string cd = "cd " + folder_.path() + "; ";
  ASSERT_EQ(
      fettle("train --model defect_cnn --data data --out run --image-size 16 --epochs 1", cd).code,
      0);
  EXPECT_EQ(fettle("evaluate {}/run").code, 0);
  EXPECT_EQ(resume("--epochs 2").code, 0);
  std::filesystem::rename(path("data"), path("moved"));
  expect_refused(fettle("evaluate {}/run"), {"was trained on '" + path("data"), "--data"});
  expect_refused(resume("--epochs 3"), {"was trained on '" + path("data"), "--data"});
  EXPECT_EQ(resume("--epochs 3 --data {}/moved").code, 0);
  EXPECT_EQ(fettle("evaluate {}/run").code, 0);
}

TEST_F(Resume, TwoTrainingsAtOnceAreRefused) {
  const auto refused_while_locked = [&](const auto& call) {
    std::filesystem::create_directories(path("run/checkpoint"));
    const int lock = open(path("run/checkpoint/lock").c_str(), O_RDWR | O_CREAT, 0666);
    ASSERT_EQ(flock(lock, LOCK_EX), 0);
    expect_refused(call(), {path("run"), "another training", "--out"});
    close(lock);
    EXPECT_EQ(call().code, 0);
  };
  refused_while_locked([&] { return train("--epochs 1"); });
  refused_while_locked([&] { return resume("--epochs 2"); });
}

TEST_F(Resume, ARunWithoutWeightsSaysHowToGoOn) {
  ASSERT_EQ(train("--epochs 1").code, 0);
  std::filesystem::rename(path("run"), path("my run's"));
  std::filesystem::remove(path("my run's/model.safetensors"));
  const std::string run = "\"{}/my run's\" ";
  for (const std::string& command : {"evaluate " + run, "predict " + run + "{}/data --out {}/p",
                                     "export " + run + "--onnx {}/x"})
    expect_refused(fettle(command), {"has not come to its end",
                                     "fettle train --resume --out '" + path("my run'\\''s'")});
  for (const std::string command : {"evaluate {}/data", "predict {}/data {}/data --out {}/p",
                                    "train --resume --out {}/data", "summary {}/data"})
    expect_refused(fettle(command), {path("data"), "is no run folder of fettle", "config.json"});
}

TEST_F(Resume, WhatIsEditedByHandIsHeldToTheRules) {
  ASSERT_EQ(train("--epochs 1").code, 0);
  const nlohmann::json whole = config();
  const auto refused = [&](const std::string& change, const std::vector<std::string>& parts,
                           bool only_resume = false) {
    nlohmann::json changed = whole;
    changed.merge_patch(nlohmann::json::parse(change));
    write(changed);
    std::vector<std::string> all = parts;
    all.push_back(path("run/config.json"));
    expect_refused(resume("--epochs 2"), all);
    if (!only_resume) expect_refused(fettle("predict {}/run {}/data --out {}/p"), all);
  };
  refused(R"({"threshold": 7})", {"threshold: 7 must be a number from 0 to 1"});
  refused(R"({"threshold_goal": "best"})", {"threshold_goal", "f1", "recall=R"});
  refused(R"({"threshold": null})", {"lacks threshold"});
  refused(R"({"threshold": "x"})", {"threshold: \"x\" must be a number from 0 to 1"});
  refused(R"({"temperature": 0})", {"temperature: 0 must be a number above 0"});
  refused(R"({"seed": -1})", {"seed: -1 must be a whole number from 0 on"});
  refused(R"({"channels": 3.7})", {"channels: 3.7 must be a whole number from 1 to 3"});
  refused(R"({"channels": 2})", {"1 or 3 channels"});
  refused(R"({"model": 3})", {"model: 3 must be a text"});
  refused(R"({"model": "foo"})", {"no model called 'foo'"});
  refused(R"({"image_size": [16]})", {"image_size: [16] must be [height, width]"});
  refused(R"({"image_size": [16, 1]})", {"needs pictures of at least 16x16"});
  refused(R"({"classes": ["a", "a"]})", {"classes: \"a\" is there twice"});
  refused(R"({"classes": "ab"})", {"classes: \"ab\" must be a list of names"});
  refused(R"({"multi_label": 1})", {"multi_label: 1 must be true or false"});
  refused(R"({"options": {"epochs": 5}})", {"options.epochs: 5 must be a text"});
  refused(R"({"options": {"bn-statistics": "foo"}})", {"--bn-statistics", "foo"});
  refused(R"({"options": {"bn-momentum": "nan"}})", {"--bn-momentum", "nan"});
  refused(R"({"options": {"learning-rate": "-5"}})", {"--learning-rate: '-5' is not"}, true);
  refused(R"({"options": {"schedule": "foo"}})", {"--schedule", "foo"}, true);
  refused(R"({"options": {"loss": "foo"}})", {"--loss foo"}, true);
  refused(R"({"options": {"augment": "foo"}})", {"'foo' is not known"});
}

}  // namespace
}  // namespace fettle
