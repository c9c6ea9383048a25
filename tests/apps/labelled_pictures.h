// Small pictures with any of two labels, and the commands on them.
#pragma once

#include <nlohmann/json.hpp>

#include "io/csv.h"
#include "tests/apps/program.h"

namespace fettle {

/// Grey noisy pictures with a bright square at the left ("left"), a dark one at the right
/// ("right"), both, or none.
class Labels : public Program {
 protected:
  static bool left(int i) { return i % 4 == 1 || i % 4 == 3; }
  static bool right(int i) { return i % 4 == 2 || i % 4 == 3; }

  static Picture made(int i) {
    constexpr int size = 32, side = 10;
    Picture picture{size, size, 3, {}};
    uint32_t state = static_cast<uint32_t>(i) + 1;
    const auto draw = [&](uint32_t below) {
      state = state * 1664525 + 1013904223;
      return static_cast<int>((state >> 16) % below);
    };
    for (int p = 0; p < size * size * 3; ++p)
      picture.pixels.push_back(static_cast<uint8_t>(110 + draw(40)));
    const auto square = [&](int column, int value) {
      const int top = draw(size - side), begin = column + draw(4);
      for (int row = top; row < top + side; ++row)
        for (int p = (row * size + begin) * 3; p < (row * size + begin + side) * 3; ++p)
          picture.pixels[static_cast<size_t>(p)] = static_cast<uint8_t>(value + draw(20));
    };
    if (left(i)) square(1, 220);
    if (right(i)) square(size - side - 5, 10);
    return picture;
  }

  /// Writes the pictures `first` to before `end` to FOLDER/pictures, with two tables about them.
  void make(const std::string& folder, int first, int end) {
    std::string columns = "path,left,right\n", names = "path,labels\n";
    for (int i = first; i < end; ++i) {
      write_png(folder_ / cat(folder, "/pictures/", i, ".png"), made(i));
      columns += cat(i, ".png,", left(i) ? 1 : 0, ",", right(i) ? 1 : 0, "\n");
      names += cat(i, ".png,", left(i) ? "left" : "", left(i) && right(i) ? ";" : "",
                   right(i) ? "right" : "", "\n");
    }
    write_bytes(path(folder + "/columns.csv"), columns);
    write_bytes(path(folder + "/names.csv"), names);
  }

  Outcome train(const std::string& out, const std::string& more,
                const std::string& model = "defect_cnn", int size = 32) {
    const bool split = more.find("--validation-data") == std::string::npos;
    return fettle(cat("train --model ", model, " --data {}/learn/pictures --out {}/", out,
                      " --image-size ", size, " --augment none --batch-size 8 --seed 7 ",
                      split ? "--validation-split 0.25 " : "", "--labels {}/learn/", more));
  }
  /// A defect_cnn that knows what it says.
  void train_well(const std::string& out, int size, int epochs) {
    make("learn", 0, 64);
    done(train(out,
               cat("columns.csv --early-stopping 0 --bn-momentum 0.8 --learning-rate 0.003 ",
                   "--schedule cosine --epochs ", epochs),
               "defect_cnn", size));
  }
  static void done(const Outcome& outcome) { ASSERT_EQ(outcome.code, 0) << outcome.err; }
  nlohmann::json json(const std::string& file) {
    return nlohmann::json::parse(content(path(file)));
  }
  std::vector<CsvLine> table(const std::string& file) { return read_csv(path(file)); }

  /// The number in the name of a picture.
  static int number(const std::string& file) {
    return std::stoi(std::filesystem::path(file).stem().string());
  }
};

}  // namespace fettle
