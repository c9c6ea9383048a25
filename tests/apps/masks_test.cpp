// The commands on pictures with masks.
#include <array>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "io/csv.h"
#include "io/data_sets/mask_data.h"
#include "io/folder.h"
#include "io/picture.h"
#include "tests/apps/mask_commands.h"
#include "tests/io/pictures.h"

namespace fettle {
namespace {

TEST_F(MaskCommands, TrainEvaluateAndPredictDrawTheDefects) {
  const Outcome trained = train_usual("--epochs 15 --early-stopping 0");
  ASSERT_EQ(trained.code, 0) << trained.err;
  EXPECT_NE(trained.err.find("Severstal's run lengths, 24 pictures, 12 of them without a defect"),
            std::string::npos)
      << trained.err;
  EXPECT_NE(trained.err.find("kind 2: 6 pictures, 600 pixels"), std::string::npos) << trained.err;
  EXPECT_EQ(content(path("run/history.csv"))
                .find("epoch,loss,accuracy,precision,recall,dice,iou,tversky,1_dice,2_dice,"
                      "val_loss"),
            0u);

  const Outcome evaluated = fettle("evaluate {}/run --data {}/steel --out {}/evaluation");
  ASSERT_EQ(evaluated.code, 0) << evaluated.err;
  const nlohmann::json metrics = json("evaluation/metrics.json");
  EXPECT_GT(metrics["dice"], 0.8) << evaluated.out;
  EXPECT_EQ(metrics["examples"], 24);
  EXPECT_EQ(metrics["classes"]["1"]["pixels"], 600);
  EXPECT_GT(metrics["pictures"]["recall"], 0.9);

  // A line for each picture and kind adds up to the same figures.
  const std::vector<CsvLine> lines = table("evaluation/pictures.csv");
  ASSERT_EQ(lines.size(), 1u + 24 * 2);
  double dice_sum = 0;
  std::map<std::string, std::array<double, 2>> pixels;  // of each kind: common, true and found
  for (size_t i = 1; i < lines.size(); ++i) {
    const std::vector<std::string>& f = lines[i].fields;
    dice_sum += std::stod(f[2]);
    pixels[f[1]][0] += std::stod(f[5]);
    pixels[f[1]][1] += std::stod(f[3]) + std::stod(f[4]);
  }
  EXPECT_NEAR(dice_sum / 48, metrics["dice_per_picture"].get<double>(), 1e-4);
  for (const auto& [kind, sums] : pixels) {
    EXPECT_NEAR(2 * sums[0] / sums[1], metrics["classes"][kind]["dice"].get<double>(), 1e-9);
  }

  // The masks that are written read back as a data set, and are the ones that were measured.
  const Outcome predicted = fettle("predict {}/run {}/steel --out {}/found");
  ASSERT_EQ(predicted.code, 0) << predicted.err;
  const std::vector<CsvLine> rows = table("found/masks.csv");
  ASSERT_EQ(rows.size(), 1u + 24 * 2);
  EXPECT_EQ(rows[0].fields, (std::vector<std::string>{"ImageId_ClassId", "EncodedPixels"}));
  EXPECT_EQ(rows[3].fields[0], "01.png_1");
  double both = 0, sum = 0;
  const MaskData truth = read_mask_data(path("steel"), MaskFormat::severstal);
  for (size_t i = 0; i < truth.pictures.size(); ++i) {
    const std::vector<Mask> masks = masks_of(truth, truth.pictures[i]);
    for (size_t k = 0; k < 2; ++k) {
      Mask found(height, width);
      add_run_lengths(rows[1 + 2 * i + k].fields[1], found);
      for (size_t p = 0; p < found.pixels.size(); ++p) {
        both += found.pixels[p] & masks[k].pixels[p];
        sum += found.pixels[p] + masks[k].pixels[p];
      }
    }
  }
  EXPECT_GT(2 * both / sum, 0.8);
  const std::vector<CsvLine> regions = table("found/regions.csv");
  ASSERT_GT(regions.size(), 10u);
  const Picture overlay = read_picture(path("found/overlays/01.png.png"), 3);
  EXPECT_GE(overlay.height, height);
  EXPECT_GE(overlay.width, width);
  expect_nothing_half_written();

  // An overlay that cannot be written, the last one, too, is said before the program ends.
  for (const std::string name : {"05", "23"}) {
    const std::string folder = "blocked" + name;
    std::filesystem::create_directories(path(folder + "/overlays/" + name + ".png.png"));
    expect_refused(fettle("predict {}/run {}/steel --out {}/" + folder), {name + ".png.png"});
  }

  // What an earlier call has drawn is no picture to look at, and does not stay beside what is drawn
  // now.
  const auto drawn = [&] { return files_under(path("fed/overlays")).size(); };
  std::filesystem::copy(path("steel"), path("fed"));
  for (int call = 0; call < 2; ++call) {
    ASSERT_EQ(fettle("predict {}/run {}/fed --out {}/fed").code, 0);
    EXPECT_EQ(drawn(), 24u);
  }
  std::filesystem::remove(path("fed/05.png"));
  write_bytes(path("fed/overlays/notes.txt"), "mine");
  ASSERT_EQ(fettle("predict {}/run {}/fed --out {}/fed").code, 0);
  EXPECT_EQ(drawn(), 24u);  // 23 and the notes

  // A threshold that is none of the steps that one is chosen among is counted by, too; 0 is one
  // like others.
  for (const std::string threshold : {"0.9973", "0"}) {
    ASSERT_EQ(
        fettle("evaluate {}/run --data {}/steel --out {}/exact --threshold " + threshold).code, 0);
    const nlohmann::json exact = json("exact/metrics.json");
    EXPECT_EQ(exact["threshold"].get<double>(), std::stod(threshold));
    std::map<std::string, std::array<double, 2>> counted;
    for (const CsvLine& line : table("exact/pictures.csv")) {
      if (line.fields[0] == "path") continue;
      counted[line.fields[1]][0] += 2 * std::stod(line.fields[5]);
      counted[line.fields[1]][1] += std::stod(line.fields[3]) + std::stod(line.fields[4]);
    }
    for (const auto& [kind, sums] : counted) {
      const nlohmann::json& figures = exact["classes"][kind];
      if (threshold == "0") {  // every pixel is of every kind, where masks exclude each other
        EXPECT_EQ(figures["recall"].get<double>(), 1) << kind;
      } else {
        EXPECT_NEAR(sums[0] / sums[1], figures["dice"].get<double>(), 1e-9) << kind;
      }
    }
  }

  // A threshold of 1 finds nothing.
  const Outcome none = fettle("predict {}/run {}/steel --threshold 1 --out {}/none");
  EXPECT_NE(none.err.find("Found defects in 0 of 24"), std::string::npos) << none.err;
}

TEST_F(MaskCommands, AThresholdIsChosenOnValidationPicturesAndKept) {
  ASSERT_EQ(train_usual("--epochs 12").code, 0);
  const Outcome chosen = fettle("evaluate {}/run --choose-threshold f1");
  ASSERT_EQ(chosen.code, 0) << chosen.err;
  const double threshold = json("run/config.json")["threshold"];
  EXPECT_NE(threshold, 0.5);
  EXPECT_EQ(json("run/metrics.json")["threshold"], threshold);
  EXPECT_EQ(json("run/metrics.json")["examples"], 6);
  const double best = json("run/metrics.json")["dice"];
  for (const char* other : {"0.2", "0.5", "0.8"}) {
    ASSERT_EQ(fettle(cat("evaluate {}/run --out {}/e --threshold ", other)).code, 0);
    EXPECT_LE(json("e/metrics.json")["dice"], best + 1e-12) << other;
  }
  EXPECT_EQ(json("run/config.json")["threshold"], threshold) << "a look must not change the run";

  ASSERT_EQ(fettle("evaluate {}/run --choose-threshold recall=0.7").code, 0);
  EXPECT_GE(json("run/metrics.json")["recall"], 0.7);
  expect_wrong_arguments(fettle("evaluate {}/run --choose-threshold best"), {"best", "recall=R"});
  expect_wrong_arguments(fettle("evaluate {}/run --choose-threshold recall=1.5"), {"recall=1.5"});
  expect_wrong_arguments(fettle("evaluate {}/run --choose-threshold f1 --data {}/steel"),
                         {"validation pictures"});
  expect_wrong_arguments(fettle("evaluate {}/run --choose-threshold f1 --threshold 0.3"),
                         {"not both"});
}

TEST_F(MaskCommands, ARunResumesToTheSameBytesWithItsCropsAndThreads) {
  const std::string crops =
      "--bn-first --crop 16x32 --augment flip=both,rotation=0.1 --dropout 0.1 ";
  ASSERT_EQ(train_usual(crops + "--epochs 4 --threads 1", "whole").code, 0);
  ASSERT_EQ(train_usual(crops + "--epochs 2 --threads 2", "parts").code, 0);
  const Outcome resumed = fettle("train --resume --out {}/parts --epochs 4 --threads 2");
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  for (const char* file : {"model.safetensors", "history.csv"})
    EXPECT_EQ(content(path(cat("parts/", file))), content(path(cat("whole/", file)))) << file;
}

TEST_F(MaskCommands, InspectionAsksTheClassifierFirst) {
  ASSERT_EQ(train_usual("--epochs 15 --early-stopping 0", "drawer").code, 0);
  const Outcome trained = fettle(
      "train --model defect_cnn --data {}/steel --out {}/judge --image-size 32x48 "
      "--batch-size 4 --validation-split 0.25 --epochs 12 --early-stopping 0 "
      "--learning-rate 0.003 --bn-momentum 0.8 --augment none --seed 3");
  ASSERT_EQ(trained.code, 0) << trained.err;
  EXPECT_NE(trained.err.find("of the classes good (9), defective (9)"), std::string::npos)
      << trained.err;
  const Outcome chosen = fettle("evaluate {}/judge --choose-threshold recall=0.99");
  ASSERT_EQ(chosen.code, 0) << chosen.err;
  EXPECT_EQ(json("judge/metrics.json")["at_threshold"]["recall"], 1.0);

  const Outcome inspected = fettle(
      "inspect --classifier {}/judge --segmenter {}/drawer --threshold 0.5 {}/steel --out {}/i");
  ASSERT_EQ(inspected.code, 0) << inspected.err;
  const std::vector<CsvLine> rows = table("i/inspection.csv");
  ASSERT_EQ(rows.size(), 25u);
  EXPECT_EQ(rows[0].fields, (std::vector<std::string>{"path", "probability", "verdict", "kinds",
                                                      "area", "overlay"}));
  const std::vector<CsvLine> masks = table("i/masks.csv");
  ASSERT_EQ(masks.size(), 49u);
  int right = 0;
  for (size_t i = 1; i < rows.size(); ++i) {
    const std::vector<std::string>& row = rows[i].fields;
    const bool defective = row[2] == "defective";
    right += defective == (i % 2 == 0);
    EXPECT_EQ(defective, std::stod(row[1]) >= 0.5);
    if (!defective) {
      EXPECT_TRUE(row[5].empty());
      EXPECT_TRUE(masks[2 * i - 1].fields[1].empty() && masks[2 * i].fields[1].empty());
    } else {
      EXPECT_TRUE(std::filesystem::exists(row[5])) << row[5];
    }
  }
  EXPECT_GE(right, 20) << inspected.err;
  EXPECT_NE(inspected.err.find(" of 24 pictures are defective"), std::string::npos);

  // From probability 0 on every picture is drawn.
  ASSERT_EQ(fettle("inspect --classifier {}/judge --segmenter {}/drawer --threshold 0 "
                   "{}/steel/03.png --out {}/j")
                .code,
            0);
  EXPECT_EQ(table("j/inspection.csv").at(1).fields[2], "defective");

  // The runs have their tasks.
  expect_refused(fettle("inspect --classifier {}/drawer --segmenter {}/drawer {}/steel --out {}/k"),
                 {"a classifier is needed"});
  expect_refused(fettle("inspect --classifier {}/judge --segmenter {}/judge {}/steel --out {}/k"),
                 {"one that draws masks is needed"});
  expect_refused(fettle("inspect --classifier {}/judge --segmenter {}/drawer {}/none --out {}/k"),
                 {path("none")});
  EXPECT_EQ(fettle("inspect --classifier {}/judge {}/steel").code, 2);
  EXPECT_EQ(fettle("inspect --classifier {}/judge --segmenter {}/drawer --threshold 2 x").code, 2);
  expect_nothing_half_written();
}

// The option is for whichever of the two runs has batch-norm; every model that draws masks does.
TEST_F(MaskCommands, InspectionTakesStatisticsForOneOfTheTwo) {
  ASSERT_EQ(train_usual("--epochs 1", "drawer").code, 0);
  ASSERT_EQ(fettle("train --model tyre_cnn --data {}/steel --image-size 32 --epochs 1 --out "
                   "{}/judge")
                .code,
            0);
  const auto masks = [&](const std::string& statistics) {
    const Outcome outcome = fettle(
        "inspect --classifier {}/judge --segmenter {}/drawer --threshold 0 "
        "--mask-threshold 0.5 {}/steel --out {}/found --bn-statistics " +
        statistics);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return content(path("found/masks.csv"));
  };
  EXPECT_NE(masks("batch"), masks("moving"));
}

TEST_F(MaskCommands, FiguresOfOtherWeightsDoNotStay) {
  ASSERT_EQ(train_usual("--epochs 1").code, 0);
  const auto trained = sorted_entries(path("run"), false);
  ASSERT_EQ(fettle("evaluate {}/run").code, 0);
  ASSERT_EQ(fettle("report {}/run").code, 0);
  const Outcome further = fettle("train --resume --out {}/run --epochs 2");
  ASSERT_EQ(further.code, 0) << further.err;
  EXPECT_EQ(sorted_entries(path("run"), false), trained);
  EXPECT_NE(further.err.find("metrics.json, pictures.csv, report.html: removed"), std::string::npos)
      << further.err;
}

TEST_F(MaskCommands, TilesDrawWhatTheWholePictureDraws) {
  Picture large{200, 560, 1, {}};
  for (int i = 0; i < large.height; ++i) {
    for (int j = 0; j < large.width; ++j) {
      const bool defect = i / 20 % 3 == 1 && j / 20 % 4 == 2;
      large.pixels.push_back(static_cast<uint8_t>(120 + (i * 31 + j * 17) % 23 + 80 * defect));
    }
  }
  write_png(path("large.png"), large);
  // Without an image size the pictures keep theirs.
  ASSERT_EQ(train(std::string(loss) + "--crop 32x32 --epochs 8", "free").code, 0);
  const Outcome whole = fettle("predict {}/free {}/large.png --out {}/whole");
  ASSERT_EQ(whole.code, 0) << whole.err;
  const Outcome tiled = fettle("predict {}/free {}/large.png --tile 160x208 --out {}/tiled");
  ASSERT_EQ(tiled.code, 0) << tiled.err;
  EXPECT_EQ(content(path("tiled/masks.csv")), content(path("whole/masks.csv")));
  EXPECT_GT(content(path("whole/masks.csv")).size(), 100u);
}

// Whether the pictures at hand would be cut or not.
TEST_F(MaskCommands, TilesTooSmallForTheModelAreRefused) {
  ASSERT_EQ(train(std::string(loss) + "--crop 32x32 --epochs 1", "free").code, 0);
  write_png(path("large.png"), plain_picture(200, 560, 1));
  for (const char* command :
       {"predict {}/free {}/large.png --out {}/p", "predict {}/free {}/steel/00.png --out {}/p",
        "evaluate {}/free", "report {}/free"})
    for (const char* size : {"64", "144x512", "512x144"})
      expect_wrong_arguments(fettle(cat(command, " --tile ", size)),
                             {"pixels are too small for a model that looks 64 pixels far; take at "
                              "least 160"});
  EXPECT_FALSE(std::filesystem::exists(path("p")));
  EXPECT_EQ(fettle("evaluate {}/free --tile 145").code, 0) << "rounded up to 160";
}

// Severstal's scorer knows kinds by their numbers, and a small table may lack one.
TEST_F(MaskCommands, KindsKeepTheirNumbers) {
  std::string table = content(path("steel/train.csv"));
  for (size_t at = 0; (at = table.find(".png,2,", at)) != std::string::npos; ++at)
    table.replace(at, 7, ".png,4,");
  write_bytes(path("steel/train.csv"), table);
  ASSERT_EQ(train_usual("--epochs 1").code, 0);
  ASSERT_EQ(fettle("predict {}/run {}/steel/05.png --threshold 0.01 --out {}/found").code, 0);
  const std::vector<CsvLine> rows = this->table("found/masks.csv");
  EXPECT_EQ(rows.at(1).fields[0], "05.png_1");
  EXPECT_EQ(rows.at(2).fields[0], "05.png_4");
}

TEST_F(MaskCommands, DataOfNoUseIsRefused) {
  write_png(folder_ / "classes/a/1.png", plain_picture(8, 8, 1));
  write_png(folder_ / "classes/b/1.png", plain_picture(8, 8, 2));
  expect_refused(fettle("train --model res_unet --data {}/classes --out {}/run"),
                 {path("classes"), "has no masks"});
  expect_wrong_arguments(train("--image-size 30"), {"multiples of 16"});
  expect_wrong_arguments(train("--crop 24"), {"multiples of 16"});
  expect_refused(train("--image-size 32x48 --crop 64"), {"crops of 64x64 do not fit"});
  expect_wrong_arguments(train("--loss dice+lovasz"), {"'lovasz'"});
  expect_wrong_arguments(train_usual("--class-weights balanced"), {"--class-weights"});
  expect_wrong_arguments(train_usual("--augment brightness=0.1"), {"standardised"});
  expect_refused(train_usual("--format via"), {path("steel"), "VIA"});
  expect_wrong_arguments(fettle("train --model defect_cnn --data {}/steel --out {}/run --crop 16"),
                         {"--crop is for models that draw masks"});
  expect_wrong_arguments(
      fettle("train --model defect_cnn --data {}/steel --out {}/run --loss dice"),
      {"--loss dice is no loss of a classifier"});
  const std::string whole = content(path("steel/train.csv"));
  write_bytes(path("steel/train.csv"), whole + "05.png,1,9999 3\n");
  expect_refused(train_usual(""), {"train.csv', line 14 (05.png, kind 1)", "32x48"});
  write_bytes(path("steel/train.csv"), whole + "99.png,1,1 3\n");
  expect_refused(train_usual(""), {"train.csv', line 14", "99.png"});
  EXPECT_FALSE(std::filesystem::exists(path("run")));
}

TEST_F(MaskCommands, AFullDiskLeavesNothingHalfWritten) {
  ASSERT_EQ(train_usual("--epochs 1").code, 0);
  const Outcome full =
      fettle("predict {}/run {}/steel --out {}/found --threshold 0.1", "ulimit -f 1; ");
  expect_refused(full, {path("found")});
  EXPECT_FALSE(std::filesystem::exists(path("found/masks.csv")));
  expect_nothing_half_written();
}

}  // namespace
}  // namespace fettle
