// Transfer learning as a person calls it.
#include <cmath>
#include <nlohmann/json.hpp>

#include "io/hdf5_file.h"
#include "io/safetensors.h"
#include "tests/apps/program.h"

namespace fettle {
namespace {

/// Small pictures in two classes that brightness tells apart.
class Transfer : public Program {
 protected:
  void SetUp() override { make_two_classes(8); }

  Outcome train(const std::string& out, const std::string& more) {
    return fettle(
        "train --data {}/data --image-size 32 --batch-size 4 --validation-split 0.25 "
        "--early-stopping 0 --out {}/" +
        out + " " + more);
  }

  /// Expects equal backbones of two runs.
  void expect_equal_backbones(const std::string& a, const std::string& b) {
    const SafetensorsFile one(path(a + "/model.safetensors")), two(path(b + "/model.safetensors"));
    for (const auto& [name, entry] : one.entries()) {
      if (name.starts_with("fc")) continue;
      EXPECT_EQ(one.read(name).to_vector(), two.read(name).to_vector()) << name;
    }
  }
};

TEST_F(Transfer, AFrozenRunChangesTheHeadAloneAndKeepsThePreprocessing) {
  const std::string small = "--model resnet18 --width 2 ";
  ASSERT_EQ(train("first", small + "--epochs 1 --preprocess unit").code, 0);
  const Outcome second =
      train("second", small +
                          "--epochs 2 --weights {}/first/model.safetensors --freeze-backbone "
                          "--head pool,dropout=0.2,dense=1 --learning-rate 0.1");
  ASSERT_EQ(second.code, 0) << second.err;
  EXPECT_NE(second.err.find("New head: fc.weight, fc.bias begin anew"), std::string::npos)
      << second.err;
  expect_equal_backbones("first", "second");
  const auto config = nlohmann::json::parse(content(path("second/config.json")));
  EXPECT_EQ(config["options"]["preprocess"], "unit");  // that of the weights

  // Evaluation sees what validation saw: the loss of the kept epoch.
  const Outcome evaluated = fettle("evaluate {}/second --out {}/e");
  ASSERT_EQ(evaluated.code, 0) << evaluated.err;
  const double loss = nlohmann::json::parse(content(path("e/metrics.json")))["loss"];
  double best = INFINITY;
  std::istringstream lines(content(path("second/history.csv")));
  std::string header, line;
  std::getline(lines, header);
  const auto column = std::count(header.begin(), header.begin() + header.find("val_loss"), ',');
  while (std::getline(lines, line)) {
    std::istringstream cells(line);
    std::string cell;
    for (auto i = 0; i <= column; ++i) std::getline(cells, cell, ',');
    best = std::min(best, std::stod(cell));
  }
  EXPECT_NEAR(loss, best, 1e-6 * best);
  EXPECT_EQ(fettle("predict {}/second {}/data/good --out {}/p").code, 0);
  EXPECT_NE(fettle("summary {}/second").out.find("layer4.1.conv2 (Conv2D)"), std::string::npos);
}

TEST_F(Transfer, ARunWithFreezingResumesToTheSameBitsWhereverItStopped) {
  const std::string options =
      "--model resnet18 --width 2 --freeze-backbone --unfreeze-at 3 --fine-tune-learning-rate "
      "0.002 --head maxpool,dense=3:relu,dropout=0.1,dense ";
  const Outcome whole = train("whole", options + "--epochs 4 --threads 1");
  ASSERT_EQ(whole.code, 0) << whole.err;
  EXPECT_NE(whole.err.find("the backbone is trained, too, at learning rate 0.002"),
            std::string::npos)
      << whole.err;
  for (const int stop : {1, 2, 3}) {  // before, at and after the epoch that frees the backbone
    const std::string out = cat("stop", stop);
    ASSERT_EQ(train(out, options + cat("--epochs ", stop)).code, 0);
    const Outcome resumed = fettle("train --resume --epochs 4 --threads 2 --out {}/" + out);
    ASSERT_EQ(resumed.code, 0) << resumed.err;
    for (const char* file : {"model.safetensors", "history.csv", "checkpoint/last.safetensors"})
      EXPECT_EQ(content(path(out + "/" + file)), content(path(cat("whole/", file)))) << stop;
  }
  ASSERT_EQ(train("frozen", options + "--epochs 2").code, 0);
  EXPECT_NE(content(path("frozen/model.safetensors")), content(path("whole/model.safetensors")));
}

TEST_F(Transfer, WhatDoesNotFitIsRefusedInOneSentence) {
  const auto begin = [&](const std::string& more) { return train("run", "--epochs 1 " + more); };
  const std::string small = "--model resnet18 --width 2 ";
  write_bytes(path("old.pth"), std::string("\x80\x02}q\x01.", 6));
  expect_refused(begin(small + "--weights {}/old.pth"), {"old.pth", "pickle", "save_file"});
  write_bytes(path("lying.safetensors"), std::string("\xFF\xFF\0\0\0\0\0\0{}", 10));
  expect_refused(begin(small + "--weights {}/lying.safetensors"), {"lying.safetensors", "header"});
  expect_refused(begin(small + "--weights {}/nowhere.safetensors"), {"nowhere.safetensors"});
  if (Hdf5File::available()) {
    const std::string bad = FETTLE_TEST_DATA "/keras/external_link.weights.h5";
    expect_refused(begin(small + "--weights " + bad), {"external_link", "link to somewhere else"});
  }
  ASSERT_EQ(train("other", "--model defect_cnn --epochs 1").code, 0);
  expect_refused(begin(small + "--weights {}/other/model.safetensors"),
                 {"another network", "conv1.weight"});
  const SafetensorsFile other(path("other/model.safetensors"));
  NamedTensors sick;
  for (const auto& [name, entry] : other.entries()) sick.push_back({name, other.read(name)});
  sick.front().tensor.fill(NAN);
  write_safetensors(path("sick.safetensors"), sick, other.metadata());
  expect_refused(begin("--model defect_cnn --weights {}/sick.safetensors"),
                 {"sick.safetensors", sick.front().name, "not finite"});

  expect_wrong_arguments(begin(small + "--head pool,dense=3"), {"--head", "dense=2 or dense=1"});
  expect_wrong_arguments(begin(small + "--head avgpool=4,flatten,dense"),
                         {"at least 97x97", "--image-size"});
  expect_wrong_arguments(begin(small + "--unfreeze-at 3"), {"--unfreeze-at", "--freeze-backbone"});
  expect_wrong_arguments(begin("--model tyre_cnn --freeze-backbone"),
                         {"--freeze-backbone", "tyre_cnn"});
  expect_wrong_arguments(begin("--model tyre_cnn --head pool,dense"), {"--head", "tyre_cnn"});
  expect_wrong_arguments(begin("--model tyre_cnn --preprocess unit"), {"--preprocess", "tyre_cnn"});
  EXPECT_EQ(begin(small + "--preprocess bgr").code, 2);
  EXPECT_FALSE(std::filesystem::exists(path("run")));
}

}  // namespace
}  // namespace fettle
