// Small sheets with masks, and the commands on them.
#pragma once

#include <nlohmann/json.hpp>

#include "io/csv.h"
#include "io/run_length.h"
#include "tests/apps/program.h"

namespace fettle {

/// Grey pictures of 32x48, noisy; every other one has a defect: a bright square (kind 1) or a dark
/// one (kind 2), with a table of run lengths.
class MaskCommands : public Program {
 protected:
  static constexpr int height = 32, width = 48, side = 10;

  void SetUp() override {
    std::string table = "ImageId,ClassId,EncodedPixels\n";
    for (int i = 0; i < 24; ++i) {
      const std::string name = cat(i / 10, i % 10, ".png");
      const int kind = i % 2 == 0 ? 0 : 1 + i / 2 % 2;
      const int top = 2 + i * 5 % 18, left = 3 + i * 7 % 33;
      write_png(folder_ / ("steel/" + name), sheet(kind, top, left, i));
      if (kind > 0) table += cat(name, ",", kind, ",", run_lengths_of(square(top, left)), "\n");
    }
    write_bytes(folder_ / "steel/train.csv", table);
  }

  static Mask square(int top, int left) {
    Mask mask(height, width);
    for (int row = top; row < top + side; ++row)
      for (int column = left; column < left + side; ++column) mask.at(row, column) = 1;
    return mask;
  }
  static Picture sheet(int kind, int top, int left, int salt) {
    Picture picture{height, width, 1, {}};
    const Mask mask = square(top, left);
    for (int i = 0; i < height * width; ++i) {
      const int noise = (i * 7919 + salt * 104729) % 41 - 20;
      const int defect = kind == 0 ? 0 : kind == 1 ? 90 : -90;
      picture.pixels.push_back(
          static_cast<uint8_t>(120 + noise + defect * mask.pixels[static_cast<size_t>(i)]));
    }
    return picture;
  }

  static constexpr const char* size = "--image-size 32x48 ";
  static constexpr const char* loss = "--loss dice-kind+bce ";

  Outcome train(const std::string& more, const std::string& run = "run") {
    return fettle("train --model res_unet --width 8 --data {}/steel --out {}/" + run +
                  " --batch-size 4 --validation-split 0.25 --bn-momentum 0.8 "
                  "--learning-rate 0.01 --seed 5 " +
                  more);
  }
  /// train() with the usual size and loss.
  Outcome train_usual(const std::string& more, const std::string& run = "run") {
    return train(std::string(size) + loss + more, run);
  }
  nlohmann::json json(const std::string& file) {
    return nlohmann::json::parse(content(path(file)));
  }
  std::vector<CsvLine> table(const std::string& file) { return read_csv(path(file)); }
};

}  // namespace fettle
