// Masks as run lengths, the form of Severstal's train.csv: "start length start length ...", pixels
// counted down the columns, from the top left, beginning at 1.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fettle {

/// A mask of [height,width] in rows: 1 where there is something.
struct Mask {
  int64_t height = 0, width = 0;
  std::vector<uint8_t> pixels;

  Mask() = default;
  Mask(int64_t rows, int64_t columns)
      : height(rows), width(columns), pixels(static_cast<size_t>(rows * columns)) {}
  uint8_t& at(int64_t row, int64_t column) {
    return pixels[static_cast<size_t>(row * width + column)];
  }
  uint8_t at(int64_t row, int64_t column) const {
    return pixels[static_cast<size_t>(row * width + column)];
  }
};

/// Adds the runs to the mask, so that several rows of a file can be merged. `origin` is the number
/// of the first pixel, 1 or (in some files) 0. An empty text is an empty mask. Throws Error that
/// says what is wrong, without file and row: an odd count, something that is no number, a length
/// of 0, runs that overlap one another or leave the picture.
void add_run_lengths(std::string_view text, Mask& mask, int64_t origin = 1);

/// The runs of a mask in rising order, as Severstal's scorer wants them; empty for an empty mask.
std::string run_lengths_of(const Mask& mask, int64_t origin = 1);

}  // namespace fettle
