// What the program says of arguments that are wrong, or have no use.
#include <unistd.h>

#include "tests/apps/program.h"

namespace fettle {
namespace {

class Options : public Program {
 protected:
  void SetUp() override { make_two_classes(4); }

  Outcome train(const std::string& more, const std::string& model = "defect_cnn") {
    return fettle("train --data {}/data --out {}/run --image-size 16 --epochs 1 --model " + model +
                  " " + more);
  }
};

TEST_F(Options, NumbersAreFiniteAndInTheirRange) {
  for (const char* option :
       {"learning-rate", "validation-split", "bn-momentum", "epsilon", "false-negative-weight",
        "false-positive-weight", "focal-exponent", "label-smoothing", "weight-decay", "focal-gamma",
        "momentum", "dropout", "fine-tune-learning-rate"}) {
    for (const char* value : {"nan", "inf", "-1", "1e60", "x"}) {
      expect_wrong_arguments(train(cat("--", option, " ", value)),
                             {cat("--", option, ": '", value, "' is not a number")});
    }
  }
  expect_wrong_arguments(train("--learning-rate 0"), {"'0' is not a number above 0"});
  expect_wrong_arguments(train("--learning-rate 1e-50"), {"is not a number above 0"});
  expect_wrong_arguments(train("--validation-split 1"), {"'1' is not a number from 0 to 0.99"});
  for (const char* value : {"1.5", "abc", "0", "1e9", ""})
    expect_wrong_arguments(train(cat("--batch-size '", value, "'")),
                           {"--batch-size: ", "is not a whole number from 1 to 65536"});
  expect_wrong_arguments(train("--seed -1"), {"'-1' is not a whole number from 0 to 4294967295"});
  for (const char* kind : {"tyres", "steel"})
    expect_wrong_arguments(fettle(cat("synthesize ", kind, " {}/made --seed -1")),
                           {"--seed: '-1' is not a whole number from 0 to 4294967295"});
  expect_wrong_arguments(fettle("synthesize steel {}/made --good-share nan"), {"from 0 to 1"});
  for (const char* command : {"evaluate {}/run", "predict {}/run {}/data --out {}/p",
                              "inspect --classifier a --segmenter b c"})
    expect_wrong_arguments(fettle(cat(command, " --threshold nan")),
                           {"--threshold: 'nan' is not a number from 0 to 1"});
  expect_wrong_arguments(train("--loss inf*dice", "res_unet"), {"inf*dice", "above 0"});
  EXPECT_FALSE(std::filesystem::exists(path("run")));
  EXPECT_FALSE(std::filesystem::exists(path("made")));
}

TEST_F(Options, WhatIsUnknownOrGivenTwiceIsNamed) {
  expect_wrong_arguments(fettle("foo"), {"no command 'foo'", "train, evaluate, predict"});
  expect_wrong_arguments(fettle("synthesize glass {}/x"), {"no command 'glass'", "tyres, steel"});
  expect_wrong_arguments(train("--epochs 2"), {"--epochs is given 2 times"});
  for (const auto& [arguments, part] : {std::pair{"--device foo", "--device foo is not auto"},
                                        {"--augment flip=foo", "'flip=foo' needs horizontal"},
                                        {"--augment spin=3", "'spin=3'"},
                                        {"--loss foo", "--loss foo is no loss of a classifier"},
                                        {"--monitor foo", "no figure 'foo'"}})
    expect_wrong_arguments(train(arguments), {part});
  expect_wrong_arguments(train("--head pool", "resnet18"), {"the last word must be dense"});
  expect_wrong_arguments(train("", "foo"), {"no model called 'foo'", "tyre_cnn, wreck_cnn"});
  expect_wrong_arguments(fettle("train --data {}/data --out {}/run"), {"--model and --data"});
  expect_wrong_arguments(fettle("train --model tyre_cnn --out {}/run"), {"--model and --data"});
  expect_wrong_arguments(fettle("export {}/run"), {"--onnx FILE"});
  expect_wrong_arguments(fettle("evaluate {}/run --choose-threshold f2"), {"neither f1 nor"});
  expect_wrong_arguments(fettle("evaluate {}/run --calibrate --threshold 0"), {"not both"});
  EXPECT_FALSE(std::filesystem::exists(path("run")));
}

TEST_F(Options, WhatWouldDoNothingIsRefused) {
  for (const char* option : {"dropout 0.2",
                             "width 4",
                             "bn-first",
                             "crop 8",
                             "head pool,dense",
                             "preprocess unit",
                             "freeze-backbone",
                             "kinds one",
                             "rle-origin 0",
                             "new-head",
                             "unfreeze-at 3",
                             "fine-tune-learning-rate 0.1",
                             "momentum 0.5",
                             "weight-decay 0.1",
                             "focal-gamma 1",
                             "focal-exponent 0.5",
                             "false-negative-weight 0.5",
                             "false-positive-weight 0.5",
                             "optimizer sgd --epsilon 0.1",
                             "validation-data {}/data --validation-split 0.5",
                             "validation-labels x"})
    expect_wrong_arguments(train(cat("--", option)), {"--"});
  expect_wrong_arguments(train("--bn-momentum 0.5", "tyre_cnn"),
                         {"--bn-momentum is for defect_cnn, resnet18", "tyre_cnn has no use"});
  expect_wrong_arguments(train("--bn-statistics batch", "wreck_cnn"), {"wreck_cnn has no use"});
  expect_wrong_arguments(train("--label-smoothing 0.1", "res_unet"), {"is for classifiers"});
  expect_wrong_arguments(train("--focal-exponent 0.5 --loss dice", "res_unet"), {"focal Tversky"});
  expect_wrong_arguments(fettle("summary {}/run --classes 3"), {"--classes goes with --model"});
  expect_wrong_arguments(fettle("export {}/run --onnx {}/x --fp16"), {"--fp16 is for"});
  EXPECT_FALSE(std::filesystem::exists(path("run")));

  ASSERT_EQ(train("--bn-momentum 0 --bn-statistics moving").code, 0);
  for (const char* option : {"--tile 32", "--min-area 5", "--explain --tile 32"})
    expect_wrong_arguments(fettle(cat("predict {}/run {}/data --out {}/p ", option)),
                           {"for models that draw masks"});
  expect_wrong_arguments(fettle("evaluate {}/run --tile 32"), {"--tile is for"});
  for (const char* option : {"format class-folders", "labels x", "kinds one", "rle-origin 0"})
    expect_wrong_arguments(fettle(cat("evaluate {}/run --", option)), {"how --data is read"});
  for (int i = 0; i < 9; ++i)
    write_png(folder_ / cat("data/third/", i, ".png"), plain_picture(8, 8, i));
  std::filesystem::remove_all(path("run"));
  ASSERT_EQ(train("").code, 0);
  expect_wrong_arguments(fettle("evaluate {}/run --threshold 0.2"), {"3 classes", "likeliest"});
}

TEST_F(Options, BatchNormsStatisticsAreForModelsThatHaveBatchNorm) {
  ASSERT_EQ(train("", "tyre_cnn").code, 0);
  for (const char* command : {"evaluate {}/run", "report {}/run",
                              "predict {}/run {}/data --out {}/p", "export {}/run --onnx {}/x"})
    expect_wrong_arguments(
        fettle(cat(command, " --bn-statistics batch")),
        {"--bn-statistics is for defect_cnn, resnet18", "tyre_cnn has no use for it"});
  EXPECT_EQ(fettle("evaluate {}/run").code, 0);
}

// 0 is a momentum like any other: the moving statistics are those of the last batch.
TEST_F(Options, ZeroIsAMomentum) {
  const auto weights = [&](const std::string& more) {
    std::filesystem::remove_all(path("run"));
    EXPECT_EQ(train(more).code, 0);
    return content(path("run/model.safetensors"));
  };
  const std::string usual = weights("");
  EXPECT_NE(weights("--bn-momentum 0"), usual);
  EXPECT_EQ(weights("--bn-momentum 0.9"), usual);  // the model's own
}

TEST_F(Options, ASizeThatIsTooSmallIsNamedWithTheLeastOne) {
  const auto refused = [&](const std::string& model, const std::string& size,
                           const std::string& least) {
    expect_wrong_arguments(
        fettle("train --data {}/data --out {}/run --model " + model + " --image-size " + size),
        {"needs pictures of at least " + least, size, "--image-size"});
  };
  refused("defect_cnn", "1x1", "16x16");
  refused("tyre_cnn", "4x4", "8x8");
  refused("wreck_cnn", "8x2000", "22x22");
  refused("resnet18 --head avgpool=4,flatten,dense", "96x96", "97x97");
  expect_wrong_arguments(train("--head pool,pool,dense", "resnet18"),
                         {"resnet18 with --head pool,pool,dense", "16x16", "or --head"});
  EXPECT_FALSE(std::filesystem::exists(path("run")));
}

TEST_F(Options, ARunInsideItsPicturesIsRefused) {
  std::filesystem::create_directory_symlink(path("data"), path("link"));
  for (const char* out : {"{}/data/run", "{}/link/run", "{}/data/../link/deep/run", "{}/data"})
    expect_wrong_arguments(
        fettle(cat("train --model tyre_cnn --image-size 16 --data {}/data/ --out ", out)),
        {"--out '", "lies in the folder of pictures", "outside"});
  expect_wrong_arguments(fettle("train --model tyre_cnn --image-size 16 --data {}/data "
                                "--validation-data {}/data/good --out {}/data/good/run"),
                         {"lies in the folder"});
  EXPECT_FALSE(std::filesystem::exists(path("data/run")));
  EXPECT_EQ(train("--out {}/data2", "tyre_cnn").code, 2) << "given twice";
  EXPECT_EQ(fettle("train --model tyre_cnn --image-size 16 --epochs 1 --data {}/data "
                   "--out {}/data2")
                .code,
            0);
}

TEST_F(Options, MadePicturesGoIntoAFolderOfTheirOwn) {
  ASSERT_EQ(fettle("synthesize steel {}/steel --count 4 --height 32 --width 64").code, 0);
  expect_refused(fettle("synthesize steel {}/steel --count 2 --height 32 --width 64"),
                 {path("steel"), "not empty", "another folder"});
  expect_refused(fettle("synthesize tyres {}/data --count 1"), {path("data"), "not empty"});
  EXPECT_FALSE(std::filesystem::exists(path("data/defective")));
  expect_refused(fettle("synthesize tyres {}/data/good/0.png"), {"0.png", "is a file"});
  std::filesystem::create_directory(path("empty"));
  EXPECT_EQ(fettle("synthesize tyres {}/empty --count 1 --image-size 32").code, 0);
}

TEST_F(Options, EveryClassIsTrainedAndOneThatAloneValidatesIsSaid) {
  for (int i = 0; i < 12; ++i)
    write_png(folder_ / cat("many/bad/", i, ".png"), plain_picture(8, 8, i));
  write_png(folder_ / "many/good/0.png", plain_picture(8, 8, 200));
  int without = 0, alone = 0;
  for (int seed = 0; seed < 12; ++seed) {
    const Outcome outcome = fettle(cat(
        "train --model defect_cnn --data {}/many --image-size 16 --epochs 1 --validation-split ",
        "0.3 --out {}/run", seed, " --seed ", seed));
    if (outcome.code != 0) {
      ++without;
      expect_refused(outcome, {"no picture to train on is of the class 'good'", "--seed"});
    } else {
      ++alone;
      EXPECT_NE(outcome.err.find(cat("all pictures to validate in '", path("many"),
                                     "' are of the class 'bad', so that val_auc means nothing")),
                std::string::npos)
          << outcome.err;
      expect_refused(
          fettle(cat("train --model defect_cnn --data {}/many --image-size 16 --epochs 1 "
                     "--validation-split 0.3 --monitor val_auc --out {}/watched --seed ",
                     seed)),
          {"--monitor val_auc", path("many"), "are of the class 'bad'", "--seed"});
      EXPECT_FALSE(std::filesystem::exists(path("watched")));
    }
    if (without > 0 && alone > 0) break;
  }
  EXPECT_GT(without, 0);
  EXPECT_GT(alone, 0);
}

TEST_F(Options, WhatCannotBeLookedAtIsNamed) {
  std::filesystem::create_symlink("ring", path("data/good/ring"));
  expect_refused(train(""), {path("data/good/ring"), "cannot be read", "give yourself the right"});
  std::filesystem::remove(path("data/good/ring"));
  write_bytes(path("data/good/nothing.png"), "");
  expect_refused(train(""), {"1 file under", "nothing.png' is empty", "mend or remove it"});
}

TEST_F(Options, TablesStandStraightWhateverTheNames) {
  std::filesystem::rename(path("data/bad"), path("data/schäbig"));
  ASSERT_EQ(train("").code, 0);
  const Outcome outcome = fettle("evaluate {}/run");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto line_of = [&](const std::string& name) {
    const size_t begin = outcome.out.find("\n" + name) + 1;
    std::string line = outcome.out.substr(begin, outcome.out.find('\n', begin) - begin);
    std::erase_if(line, [](char c) { return (c & 0xC0) == 0x80; });
    return line;
  };
  EXPECT_EQ(line_of("schäbig").size(), line_of("good").size()) << outcome.out;
}

}  // namespace
}  // namespace fettle
