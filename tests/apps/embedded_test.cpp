// fettle export, fettle-predict and the C library beside fettle predict, on runs that were trained.
#include <cstdio>

#include "io/csv.h"
#include "io/picture.h"
#include "io/run_length.h"
#include "kernels/conv2d/cpu_packed.h"
#include "tests/apps/program.h"
#include "tests/io/pictures.h"

namespace fettle {
namespace {

class Embedded : public Program {
 protected:
  Outcome predict(const std::string& arguments) { return run(FETTLE_PREDICT, arguments); }

  /// A run of one epoch on twelve noisy pictures, and its single file {}/model.fettle.
  void make_classifier() {
    for (int i = 0; i < 12; ++i)
      write_png(folder_ / cat("data/", i % 2 ? "bad/" : "good/", i, ".png"), noisy(30 + i, 41, i));
    done(
        fettle("train --model defect_cnn --data {}/data --out {}/run --image-size 32 --epochs 2 "
               "--batch-size 4 --validation-split 0.25"));
    done(fettle("export {}/run --single-file {}/model.fettle"));
  }
  void make_segmenter(const std::string& sizes) {
    std::string table = "ImageId,ClassId,EncodedPixels\n";
    for (int i = 0; i < 6; ++i) {
      write_png(folder_ / cat("steel/", i, ".png"), noisy(48, 80, i));
      table += cat(i, ".png,", 1 + i % 2, ",", 49 * (i + 1), " 20\n");
    }
    write_bytes(folder_ / "steel/train.csv", table);
    done(
        fettle("train --model res_unet --width 4 --data {}/steel --out {}/run --epochs 2 "
               "--batch-size 2 --validation-split 0.34 --bn-momentum 0.5 " +
               sizes));
    done(fettle("export {}/run --single-file {}/model.fettle"));
  }
  static void done(const Outcome& outcome) { ASSERT_EQ(outcome.code, 0) << outcome.err; }

  static Picture noisy(int height, int width, int salt) {
    Picture picture{height, width, 3, {}};
    uint32_t state = static_cast<uint32_t>(salt) + 1;
    for (int i = 0; i < height * width * 3; ++i) {
      state = state * 1664525 + 1013904223;
      picture.pixels.push_back(static_cast<uint8_t>((state >> 24) / 2 + 20 * (salt % 2)));
    }
    return picture;
  }

  std::vector<CsvLine> table(const std::string& text) {
    write_bytes(folder_ / "table.csv", text);
    return read_csv(path("table.csv"));
  }
};

TEST_F(Embedded, ClassifiesAsTheProgramDoes) {
  make_classifier();
  done(fettle("predict {}/run {}/data --out {}/full"));
  done(fettle("export {}/run --single-file {}/half.fettle --fp16"));
  EXPECT_LT(content(path("half.fettle")).size(), content(path("model.fettle")).size() * 6 / 10);
  const std::vector<CsvLine> full = read_csv(path("full/predictions.csv"));
  ASSERT_EQ(full.size(), 13u);
  for (const auto& [file, tolerance] : {std::pair{"model", 1e-5}, {"half", 1e-2}}) {
    const Outcome predicted = predict(cat("{}/", file, ".fettle {}/data --threads 2"));
    done(predicted);
    EXPECT_EQ(predicted.err, "Device: CPU, 2 threads\n");
    const std::vector<CsvLine> ours = table(predicted.out);
    ASSERT_EQ(ours.size(), full.size());
    EXPECT_EQ(ours[0].fields, full[0].fields);
    for (size_t i = 1; i < full.size(); ++i) {
      EXPECT_EQ(ours[i].fields[0], full[i].fields[0]);
      for (const size_t column : {2u, 3u})
        EXPECT_NEAR(std::stod(ours[i].fields[column]), std::stod(full[i].fields[column]),
                    tolerance);
    }
  }
}

/// In bf16 where the processor has it, and elsewhere a sentence.
TEST_F(Embedded, RoundsToBf16WhenAsked) {
  make_classifier();
  const Outcome exact = predict("{}/model.fettle {}/data");
  const Outcome rounded = predict("{}/model.fettle {}/data --precision bf16");
  EXPECT_EQ(predict("{}/model.fettle {}/data --precision fp32").out, exact.out);
  if (!cpu_has_bf16()) {
    EXPECT_EQ(rounded.code, 1);
    EXPECT_NE(rounded.err.find("take fp32"), std::string::npos) << rounded.err;
    return;
  }
  done(rounded);
  const std::vector<CsvLine> ours = table(rounded.out), wanted = table(exact.out);
  ASSERT_EQ(ours.size(), wanted.size());
  bool differs = false;
  for (size_t i = 1; i < ours.size(); ++i) {
    EXPECT_NEAR(std::stod(ours[i].fields[2]), std::stod(wanted[i].fields[2]), 2e-2);
    differs = differs || ours[i].fields[2] != wanted[i].fields[2];
  }
  EXPECT_TRUE(differs) << "nothing was rounded";
}

/// Masks in PGM files against masks.csv. Pixels whose probability is the threshold but for a
/// rounding may differ: one in a thousand.
TEST_F(Embedded, DrawsMasksAsTheProgramDoes) {
  for (const char* sizes : {"--image-size 32x48", "--crop 32x32"}) {
    make_segmenter(sizes);
    done(fettle("predict {}/run {}/steel --out {}/full --threshold 0.45"));
    const Outcome predicted = predict("{}/model.fettle {}/steel --masks {}/masks --threshold 0.45");
    done(predicted);
    EXPECT_NE(predicted.out.find("path,kind,area,probability"), std::string::npos);
    int64_t marked = 0;
    const std::vector<CsvLine> lines = read_csv(path("full/masks.csv"));
    ASSERT_EQ(lines.size(), 1u + 6 * 2);
    for (size_t i = 1; i < lines.size(); ++i) {
      const std::vector<std::string>& fields = lines[i].fields;  // "3.png_1", runs
      const size_t kind = fields[0].rfind('_');
      Mask wanted(48, 80);
      add_run_lengths(fields[1], wanted);
      const std::string pgm = content(
          path(cat("masks/", fields[0].substr(0, kind), ".", fields[0].substr(kind + 1), ".pgm")));
      const std::string header = "P5\n80 48\n255\n";
      ASSERT_EQ(pgm.substr(0, header.size()), header) << fields[0];
      int64_t different = 0;
      for (size_t p = 0; p < wanted.pixels.size(); ++p) {
        different += (wanted.pixels[p] != 0) != (pgm[header.size() + p] != 0);
        marked += wanted.pixels[p];
      }
      EXPECT_LE(different, 4) << fields[0];
    }
    EXPECT_GT(marked, 500) << "nothing is compared";
    std::filesystem::remove_all(path("run"));
  }
}

// The system gives it no more than it may have, and 16 MiB for the libraries that it maps.
TEST_F(Embedded, StaysWithinItsMemory) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "the sanitizer needs memory of its own";
#endif
  make_segmenter("--crop 32x32");
  write_png(folder_ / "large.png", noisy(1000, 1000, 3));
  const std::string arguments = "{}/model.fettle {}/large.png --threads 1 --masks {}/";
  const auto bounded = [&](const std::string& more) {
    return run("ulimit -v 57344; " FETTLE_PREDICT, arguments + more);
  };
  done(predict(arguments + "whole"));
  // Weights, activations and the program itself, for one crop.
  const std::string summary = fettle("summary {}/run").out;
  double peak = 0;
  const size_t line = summary.find("Peak memory of a prediction: ");
  ASSERT_NE(line, std::string::npos) << summary;
  ASSERT_EQ(std::sscanf(summary.c_str() + line, "Peak memory of a prediction: %lf MiB", &peak), 1);
  EXPECT_GT(peak, 6);
  EXPECT_LT(peak, 40);
  const Outcome needs_tiles = bounded("none");
  EXPECT_EQ(needs_tiles.code, 1);
  EXPECT_NE(needs_tiles.err.find("out of memory"), std::string::npos) << needs_tiles.err;
  done(bounded("tiled --max-memory 40M"));
  const std::string whole = content(path("whole/large.png.1.pgm"));
  const std::string tiled = content(path("tiled/large.png.1.pgm"));
  ASSERT_EQ(whole.size(), tiled.size());
  int64_t different = 0;
  for (size_t i = 0; i < whole.size(); ++i) different += whole[i] != tiled[i];
  EXPECT_LT(different, 1000);
  const Outcome refused = predict(arguments + "none --max-memory 12M");
  EXPECT_EQ(refused.code, 1);
  EXPECT_NE(refused.err.find("12.0 MiB are allowed"), std::string::npos) << refused.err;
}

TEST_F(Embedded, RefusesWithASentence) {
  make_classifier();
  const auto refused = [&](const std::string& arguments, int code, const std::string& part) {
    const Outcome o = predict(arguments);
    EXPECT_EQ(o.code, code) << arguments;
    EXPECT_NE(o.err.find(part), std::string::npos) << o.err;
  };
  std::string bytes = content(path("model.fettle"));
  write_bytes(path("cut.fettle"), bytes.substr(0, bytes.size() / 2));
  refused("{}/cut.fettle {}/data", 1, "cut.fettle' is not a whole single-file model");
  refused("{}/run {}/data", 1, "fettle export");
  refused("{}/none.fettle {}/data", 1, "none.fettle");
  refused("{}/model.fettle {}/model.fettle", 1, "is not a JPEG");
  refused("{}/model.fettle {}/data --masks {}/masks", 1, "classifies");
  refused("{}/model.fettle", 2, "give a model and pictures");
  refused("{}/model.fettle {}/data --threads 0", 2, "--threads");
  refused("{}/model.fettle {}/data --precision int8", 2, "takes fp32 or bf16");
  refused("{}/model.fettle {}/data --max-memory 12Q", 2, "--max-memory");
  refused("{}/model.fettle {}/data --device gpu", 2, "cuda:N");
  refused("{}/model.fettle {}/data --device cuda", 1, "--device cuda: this build of fettle has no");
  refused("{}/model.fettle {}/data --speed 3", 2, "--speed");
  refused("{}/model.fettle {}/data --max-memory 1M", 1, "are allowed");
  expect_wrong_arguments(fettle("export {}/run"), {"--single-file"});
}

// The program of the README: a C compiler, the library, a model from a file and one compiled in.
TEST_F(Embedded, ACProgramUsesTheLibrary) {
  make_classifier();
  const std::string source = FETTLE_SOURCE "/tests/embedded/",
                    include = FETTLE_SOURCE "/apps/embedded";
  const std::string library = FETTLE_EMBEDDED_LIBRARY " -lstdc++ -lm -lpthread " FETTLE_LINK_FLAGS;
  const std::string compile = cat("-std=c11 -Wall -Wextra -Werror -I", include, " ");
  done(run("cc", compile + source + "predict.c " + library + " -o {}/predict"));
  const Outcome said = run(path("predict"), "{}/model.fettle");
  done(said);
  double bad = 0, good = 0;
  ASSERT_EQ(std::sscanf(said.out.c_str(), "bad %lf\ngood %lf\n", &bad, &good), 2) << said.out;
  EXPECT_NEAR(bad + good, 1, 1e-3);
  EXPECT_EQ(run(path("predict"), "{}/nothing").code, 1);

  done(fettle("export {}/run --c-array {}/steel.c"));
  write_bytes(
      path("main.c"),
      "#include <fettle.h>\n#include <stddef.h>\n#include <stdio.h>\n"
      "extern const unsigned char steel[]; extern const size_t steel_size;\n"
      "int main(void) {\n  fettle_model* model = fettle_load_memory(steel, steel_size, NULL);\n"
      "  if (!model) return 1;\n  puts(fettle_class_name(model, 1));\n"
      "  fettle_free(model);\n  return 0;\n}\n");
  done(run("cc", compile + "{}/main.c {}/steel.c " + library + " -o {}/compiled_in"));
  done(fettle("export {}/run --c-array {}/int.c"));  // a word that C keeps for itself
  done(run("cc", compile + "-c {}/int.c -o {}/int.o"));
  const Outcome compiled_in = run(path("compiled_in"), "");
  EXPECT_EQ(compiled_in.code, 0);
  EXPECT_EQ(compiled_in.out, "good\n");
}

}  // namespace
}  // namespace fettle
