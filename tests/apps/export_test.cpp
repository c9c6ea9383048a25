// fettle export against ONNX Runtime.
#include <nlohmann/json.hpp>

#include "engine/tensor.h"
#include "io/csv.h"
#include "io/picture.h"
#include "io/safetensors.h"
#include "tests/apps/program.h"
#include "tests/io/onnx_check.h"
#include "tests/io/pictures.h"

namespace fettle {
namespace {

class Export : public Program {
 protected:
  void SetUp() override {
    for (int i = 0; i < 6; ++i) {
      write_png(folder_ / cat("data/bad/", i, ".png"), plain_picture(20, 24, 30 + i));
      write_png(folder_ / cat("data/good/", i, ".png"), plain_picture(24, 20, 200 + i));
    }
  }
  Outcome train(const std::string& more) {
    return fettle(
        "train --model defect_cnn --data {}/data --image-size 16x32 --batch-size 4 "
        "--epochs 2 --bn-momentum 0.5 --out {}/" +
        more);
  }
};

// What predict says of a picture that needs no resizing is what the file computes, with a
// temperature, too.
TEST_F(Export, TheFileSaysWhatPredictSays) {
  ASSERT_EQ(train("run").code, 0);
  std::string config = content(path("run/config.json"));
  const size_t at = config.find("\"temperature\": 1.0");
  ASSERT_NE(at, std::string::npos) << config;
  write_bytes(path("run/config.json"), config.replace(at, 18, "\"temperature\": 2.5"));

  Picture picture{16, 32, 3, {}};
  std::vector<float> pixels;
  for (int i = 0; i < 16 * 32 * 3; ++i) {
    picture.pixels.push_back(static_cast<uint8_t>(i * 7919 % 256));
    pixels.push_back(picture.pixels.back());
  }
  write_png(path("picture.png"), picture);
  ASSERT_EQ(fettle("predict {}/run {}/picture.png --out {}/p").code, 0);
  const std::vector<std::string> row = read_csv(path("p/predictions.csv")).at(1).fields;
  const std::vector<float> probabilities = {std::stof(row[2]), std::stof(row[3])};

  const Outcome exported = fettle("export {}/run --onnx {}/onnx/run.onnx");
  EXPECT_EQ(exported.code, 1) << "the folder is not there";
  std::filesystem::create_directories(path("onnx"));
  const Outcome again = fettle("export {}/run --onnx {}/onnx/run.onnx");
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_NE(again.err.find("pictures [N,16,32,3]"), std::string::npos) << again.err;
  EXPECT_NE(content(path("onnx/run.onnx")).find("[\"bad\",\"good\"]"), std::string::npos);
  if (!has_onnx_runtime()) GTEST_SKIP() << "Python's onnx and onnxruntime are not here";
  write_safetensors(path("onnx/run.safetensors"),
                    {{"x", Tensor::from({1, 16, 32, 3}, pixels)},
                     {"probabilities", Tensor::from({1, 2}, probabilities)}});
  expect_onnx_agrees(path("onnx"));
}

TEST_F(Export, RefusesWhatAFileCannotSay) {
  ASSERT_EQ(train("run --bn-statistics batch").code, 0);
  expect_wrong_arguments(fettle("export {}/run"), {"--onnx FILE"});
  expect_refused(fettle("export {}/run --onnx {}/run.onnx"), {"--bn-statistics moving"});
  EXPECT_FALSE(std::filesystem::exists(path("run.onnx")));
  EXPECT_EQ(fettle("export {}/run --onnx {}/run.onnx --bn-statistics moving").code, 0);
  const Outcome larger =
      fettle("export {}/run --onnx {}/large.onnx --bn-statistics moving --image-size 48");
  EXPECT_EQ(larger.code, 0) << larger.err;
  EXPECT_NE(larger.err.find("[N,48,48,3]"), std::string::npos);

  ASSERT_EQ(
      fettle("train --model tyre_cnn --data {}/data --image-size 32 --epochs 1 --out {}/flat").code,
      0);
  expect_refused(fettle("export {}/flat --onnx {}/flat.onnx --image-size 64"),
                 {"tyre_cnn cannot look at pictures of 64x64", "dense"});
  expect_refused(fettle("export {}/nothing --onnx {}/x.onnx"), {path("nothing")});
  expect_nothing_half_written();
}

}  // namespace
}  // namespace fettle
