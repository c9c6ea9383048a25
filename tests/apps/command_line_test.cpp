// The commands on pictures in class folders.
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "io/picture.h"
#include "tests/apps/program.h"
#include "tests/io/pictures.h"

namespace fettle {
namespace {

/// A folder of small pictures in two classes that brightness tells apart.
class CommandLine : public Program {
 protected:
  void SetUp() override { make_two_classes(12); }

  Outcome train(const std::string& more, const std::string& run = "run") {
    return fettle("train --model tyre_cnn --data {}/data --out {}/" + run +
                  " --image-size 16 --batch-size 4 --validation-split 0.25 " + more);
  }

  /// 60 epochs, ended by SIGINT once there is a checkpoint.
  Outcome interrupted_training(const char* program, const std::string& out) {
    const std::string data = path("data"), err = path("err.txt");
    const pid_t child = fork();
    if (child == 0) {
      if (!std::freopen(err.c_str(), "w", stderr)) _exit(9);
      execl(program, "fettle", "train", "--model", "tyre_cnn", "--data", data.c_str(), "--out",
            out.c_str(), "--image-size", "16", "--batch-size", "4", "--validation-split", "0.25",
            "--epochs", "60", "--early-stopping", "0", nullptr);
      _exit(9);
    }
    int status = 0;
    while (!std::filesystem::exists(out + "/checkpoint/last.safetensors")) {
      if (waitpid(child, &status, WNOHANG) != 0) return {WEXITSTATUS(status), "", content(err)};
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    kill(child, SIGINT);
    waitpid(child, &status, 0);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, "", content(err)};
  }
};

TEST_F(CommandLine, TrainsEvaluatesPredictsAndDescribes) {
  const Outcome trained = train("--epochs 6");
  ASSERT_EQ(trained.code, 0) << trained.err;
  EXPECT_NE(trained.err.find("Device: CPU"), std::string::npos);
  EXPECT_NE(trained.err.find("Epoch 6/6"), std::string::npos);
  EXPECT_EQ(trained.err.find('\r'), std::string::npos) << "plain lines when not on a terminal";
  for (const char* file : {"config.json", "model.safetensors", "history.csv"}) {
    EXPECT_FALSE(content(path(cat("run/", file))).empty()) << file;
  }
  EXPECT_EQ(content(path("run/history.csv")).find("epoch,loss,accuracy,precision,recall,f1,auc"),
            0u);

  const Outcome evaluated = fettle("evaluate {}/run --data {}/data --out {}/evaluation");
  ASSERT_EQ(evaluated.code, 0) << evaluated.err;
  EXPECT_NE(evaluated.out.find("accuracy"), std::string::npos);
  const auto metrics = nlohmann::json::parse(content(path("evaluation/metrics.json")));
  for (const char* key : {"loss", "accuracy", "precision", "recall", "f1", "auc"}) {
    EXPECT_TRUE(metrics.at(key).is_number()) << key;
  }
  EXPECT_EQ(metrics["accuracy"], 1.0);
  EXPECT_EQ(metrics["examples"], 24);
  EXPECT_EQ(metrics["classes"]["bad"]["support"], 12);

  const Outcome predicted =
      fettle("predict {}/run {}/data/good {}/data/bad/3.jpg --out {}/predictions");
  ASSERT_EQ(predicted.code, 0) << predicted.err;
  std::istringstream lines(content(path("predictions/predictions.csv")));
  std::string line;
  std::getline(lines, line);
  EXPECT_EQ(line, "path,class,bad,good");
  int good = 0, bad = 0;
  while (std::getline(lines, line)) {
    good += line.find(",good,") != std::string::npos;
    bad += line.find("bad/3.jpg,bad,") != std::string::npos;
  }
  EXPECT_EQ(good, 12);
  EXPECT_EQ(bad, 1);

  const Outcome summary = fettle("summary {}/run");
  EXPECT_EQ(summary.code, 0) << summary.err;
  EXPECT_NE(summary.out.find("conv2d_2 (Conv2D)"), std::string::npos) << summary.out;
  EXPECT_NE(fettle("summary --model tyre_cnn").out.find("33,578,402"), std::string::npos);
  EXPECT_EQ(fettle("devices").code, 0);
  expect_nothing_half_written();
}

TEST_F(CommandLine, AResumedRunAndAnotherNumberOfThreadsGiveTheSameBytes) {
  ASSERT_EQ(train("--epochs 4 --threads 1", "whole").code, 0);
  ASSERT_EQ(train("--epochs 2 --threads 2", "parts").code, 0);
  EXPECT_NE(content(path("parts/model.safetensors")), content(path("whole/model.safetensors")));
  const Outcome resumed = fettle("train --resume --out {}/parts --epochs 4 --threads 2");
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  for (const char* file : {"model.safetensors", "history.csv", "checkpoint/last.safetensors"}) {
    EXPECT_EQ(content(path(cat("parts/", file))), content(path(cat("whole/", file)))) << file;
  }
}

TEST_F(CommandLine, CtrlCLeavesAWholeCheckpointThatResumes) {
  ASSERT_EQ(train("--epochs 60 --early-stopping 0", "whole").code, 0);
  const std::string out = path("stopped");
  expect_refused(interrupted_training(FETTLE_PROGRAM, out),
                 {"interrupted", "--resume --out " + out});
  const Outcome resumed = fettle("train --resume --out {}/stopped");
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_EQ(content(out + "/model.safetensors"), content(path("whole/model.safetensors")));
  expect_nothing_half_written();
}

TEST_F(CommandLine, CtrlCOnAGpuLeavesACheckpointForTheCpu) {
  const std::string out = path("stopped");
  expect_refused(interrupted_training(FETTLE_PROGRAM_WITH_GPU, out),
                 {"interrupted", "--resume --out " + out});
  const Outcome resumed = fettle("train --resume --out {}/stopped --device cpu");
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_NE(resumed.err.find("Going on after epoch"), std::string::npos) << resumed.err;
  expect_nothing_half_written();
}

TEST_F(CommandLine, AGpuChangesNothingButTheDevice) {
  const std::string arguments =
      "train --model tyre_cnn --data {}/data --image-size 16 --batch-size 4 --validation-split "
      "0.25 "
      "--epochs 2 --device auto --out {}/";
  const Outcome here = fettle(arguments + "cpu"), there = fettle_with_gpu(arguments + "gpu");
  ASSERT_EQ(there.code, 0) << there.err;
  EXPECT_NE(there.err.find("Device: cuda:0, SIMT executor"), std::string::npos) << there.err;
  EXPECT_NE(here.err.find("Device: CPU"), std::string::npos);

  // A run of the one evaluates and predicts on the other.
  const auto loss = [&](const Outcome& outcome, const char* out) {
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return nlohmann::json::parse(content(path(cat(out, "/metrics.json"))))["loss"].get<double>();
  };
  const double on_cpu = loss(fettle("evaluate {}/gpu --data {}/data --out {}/a"), "a");
  const double on_gpu = loss(fettle_with_gpu("evaluate {}/gpu --data {}/data --out {}/b"), "b");
  EXPECT_NEAR(on_gpu / on_cpu, 1, 1e-4);
  const Outcome predicted =
      fettle_with_gpu("predict {}/cpu {}/data/good --out {}/c --device cuda:0");
  EXPECT_EQ(predicted.code, 0) << predicted.err;
  const Outcome resumed = fettle("train --resume --out {}/gpu --epochs 3 --device cpu");
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_NE(resumed.err.find("Going on after epoch 2"), std::string::npos) << resumed.err;

  EXPECT_NE(fettle_with_gpu("devices").out.find("cuda:0  SIMT executor, compute capability 9.0"),
            std::string::npos);
  expect_refused(fettle_with_gpu("evaluate {}/gpu --data {}/data --device cuda:3"),
                 {"cuda:3", "one GPU"});
  expect_wrong_arguments(fettle_with_gpu("evaluate {}/gpu --data {}/data --device gpu"),
                         {"cuda:N"});
}

TEST_F(CommandLine, ConvolutionPlansAreTimedOnceAndKept) {
  const std::string arguments =
      "train --model tyre_cnn --data {}/data --image-size 8 --batch-size 4 --validation-split 0.5 "
      "--epochs 1 --conv-plans {}/plans.txt --device ";
  expect_wrong_arguments(fettle(arguments + "cpu --out {}/a"), {"--conv-plans", "--device cuda"});
  const Outcome first = fettle_with_gpu(arguments + "cuda --out {}/b");
  ASSERT_EQ(first.code, 0) << first.err;
  const std::string plans = content(path("plans.txt"));
  EXPECT_TRUE(plans.starts_with("fettle convolution plans, SIMT executor\nbackward_")) << plans;
  // Whatever was quickest, the next run does the same with it, and times nothing anew.
  ASSERT_EQ(fettle_with_gpu(arguments + "cuda --out {}/c").code, 0);
  EXPECT_EQ(content(path("plans.txt")), plans);

  const auto refused = [&](const std::string& text, const std::string& why) {
    std::ofstream(path("plans.txt")) << text;
    expect_refused(fettle_with_gpu(arguments + "cuda --out {}/d"), {path("plans.txt"), why});
  };
  refused("", "another GPU");
  refused("fettle convolution plans, NVIDIA H200\n", "another GPU");
  refused(plans + "forward N1: direct\n", "no plan");
}

TEST_F(CommandLine, APrecisionIsForGpusAndKeptInTheRun) {
  const std::string arguments =
      "train --model tyre_cnn --data {}/data --image-size 16 --batch-size 4 --validation-split "
      "0.25 --epochs 1 --precision bf16 --out {}/";
  const Outcome there = fettle_with_gpu(arguments + "gpu --device cuda");
  ASSERT_EQ(there.code, 0) << there.err;
  EXPECT_NE(there.err.find("SIMT executor"), std::string::npos) << there.err;
  EXPECT_NE(there.err.find(", bf16\n"), std::string::npos) << there.err;
  expect_refused(fettle(arguments + "cpu --device cpu"), {"--precision bf16", "CPU"});
  expect_refused(fettle("train --resume --out {}/gpu --epochs 2 --device cpu"),
                 {"--precision bf16", "--precision fp32"});
  const Outcome resumed =
      fettle("train --resume --out {}/gpu --epochs 2 --device cpu --precision fp32");
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  for (const char* command :
       {"evaluate {}/gpu --data {}/data --device cuda --precision tf32",
        "evaluate {}/gpu --data {}/data --device cuda --precision bf16",
        "predict {}/gpu {}/data/good --out {}/p --explain --device cuda --precision bf16"}) {
    const Outcome outcome = fettle_with_gpu(command);
    EXPECT_EQ(outcome.code, 0) << command << ": " << outcome.err;
  }
}

TEST_F(CommandLine, WrongArgumentsExitWith2) {
  for (const char* arguments :
       {"", "trian", "train --out {}/run --epoch 3", "train", "train --out {}/run --optimizer up",
        "train --out {}/run --image-size 12x", "train --out {}/run --epochs 0", "predict {}/run",
        "summary --image-size 0x4", "synthesize", "train --out {}/run --batch-size many"}) {
    const Outcome outcome = fettle(arguments);
    EXPECT_EQ(outcome.code, 2) << arguments << "\n" << outcome.err;
    EXPECT_FALSE(outcome.err.empty()) << arguments;
  }
  EXPECT_FALSE(std::filesystem::exists(path("run")));
  EXPECT_EQ(fettle("--help").code, 0);
  EXPECT_EQ(fettle("train --help").code, 0);
}

TEST_F(CommandLine, DataOfNoUseIsRefused) {
  const auto train_on = [&](const std::string& data) {
    return fettle("train --model tyre_cnn --out {}/run --image-size 16 --data {}/" + data);
  };
  expect_refused(train_on("nowhere"), {path("nowhere")});
  std::filesystem::create_directories(path("empty"));
  expect_refused(train_on("empty"), {path("empty")});
  write_png(folder_ / "one/only/a.png", plain_picture(8, 8, 1));
  expect_refused(train_on("one"), {path("one"), "only one class"});
  expect_wrong_arguments(fettle("train --model alexnet --data {}/data --out {}/run"),
                         {"alexnet", "tyre_cnn, wreck_cnn"});
  expect_wrong_arguments(
      fettle("train --model tyre_cnn --data {}/data --out {}/run --image-size 4"),
      {"tyre_cnn needs pictures of at least 8x8", "--image-size"});
  expect_wrong_arguments(fettle("train --data {}/data --out {}/run"), {"--model"});
  expect_wrong_arguments(train("--augment spin=3"), {"--augment", "spin=3"});
  expect_wrong_arguments(train("--monitor val_dice"), {"val_dice", "val_accuracy"});
  expect_refused(train("--device cuda"), {"cuda", "--device cpu"});
}

TEST_F(CommandLine, BrokenPicturesAreNamedOrSkipped) {
  const std::string jpeg = content(path("data/bad/0.jpg"));
  write_bytes(path("data/bad/cut.jpg"), jpeg.substr(0, jpeg.size() / 2));
  expect_refused(train("--epochs 1"), {"cut.jpg", "--skip-broken"});
  std::filesystem::remove(path("data/bad/cut.jpg"));
  write_bytes(path("data/good/text.jpg"), "This is a shopping list.\n");
  expect_refused(train("--epochs 1"), {"text.jpg", "--skip-broken"});
  const Outcome skipped = train("--epochs 1 --skip-broken");
  EXPECT_EQ(skipped.code, 0) << skipped.err;
  EXPECT_NE(skipped.err.find("text.jpg"), std::string::npos);
}

TEST_F(CommandLine, APictureOfOnePixelIsAPicture) {
  write_png(path("data/good/dot.png"), plain_picture(1, 1, 255));
  EXPECT_EQ(train("--epochs 1").code, 0);
  const Outcome outcome = fettle("predict {}/run {}/data/good/dot.png --out {}/p");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
}

TEST_F(CommandLine, DamagedRunsAreRefusedByName) {
  ASSERT_EQ(train("--epochs 1").code, 0);
  expect_refused(train("--epochs 1"), {"already holds a run", "--resume"});
  const std::string checkpoint = path("run/checkpoint/last.safetensors");
  const std::string whole = content(checkpoint);
  write_bytes(checkpoint, whole.substr(0, whole.size() - 100));
  expect_refused(fettle("train --resume --out {}/run --epochs 2"), {"last.safetensors"});
  write_bytes(checkpoint, whole);

  const std::string weights = content(path("run/model.safetensors"));
  write_bytes(path("run/model.safetensors"), weights.substr(0, weights.size() / 2));
  expect_refused(fettle("evaluate {}/run --data {}/data"), {"model.safetensors"});
  ASSERT_EQ(fettle("train --model wreck_cnn --data {}/data --out {}/other --image-size 32 "
                   "--epochs 1")
                .code,
            0);
  std::filesystem::copy_file(path("other/model.safetensors"), path("run/model.safetensors"),
                             std::filesystem::copy_options::overwrite_existing);
  expect_refused(fettle("predict {}/run {}/data --out {}/p"),
                 {"model.safetensors", "dense.weight"});
  write_bytes(path("run/config.json"), "{\"model\": \"tyre_cnn\"");
  expect_refused(fettle("predict {}/run {}/data --out {}/p"), {"config.json"});
  expect_refused(fettle("evaluate {}/nothing --data {}/data"), {path("nothing")});
  std::filesystem::rename(path("data/good"), path("data/fine"));
  expect_refused(fettle("evaluate {}/other --data {}/data"), {"classes"});
}

TEST_F(CommandLine, PlacesThatCannotBeWrittenAreNamed) {
  write_bytes(path("file"), "x");
  expect_refused(train("--epochs 1", "file/run"), {path("file/run")});
  // A disk that is full after 32 KiB.
  const Outcome full =
      fettle("train --model tyre_cnn --data {}/data --out {}/full --image-size 16 --epochs 1",
             "ulimit -f 32; ");
  expect_refused(full, {"last.safetensors"});
  EXPECT_FALSE(std::filesystem::exists(path("full/checkpoint/last.safetensors")));
  expect_nothing_half_written();
}

}  // namespace
}  // namespace fettle
