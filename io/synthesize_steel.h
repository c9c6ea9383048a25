// A made data set with known answers: sheets of steel in the format of Severstal.
#pragma once

#include <cstdint>
#include <string>

namespace fettle {

struct SyntheticSteelOptions {
  int64_t count = 400;       ///< pictures
  double good_share = 0.47;  ///< of the pictures that have no defect; Severstal: 5,902 of 12,568
  int64_t height = 256, width = 1600;
  uint64_t seed = 0;
};

/// Writes `dir`/train_images/000001.jpg ... (grey) and `dir`/train.csv with the columns
/// ImageId,ClassId,EncodedPixels: a row for each faulty picture and kind of defect in it, none for
/// good pictures, in the order of the pictures, with the exact masks of io/steel_picture.h as run
/// lengths.
///
/// As in Severstal, one faulty picture in 16 has two kinds, and of the rows 12.6 % are of kind 1,
/// 3.5 % of kind 2, 72.6 % of kind 3 and 11.3 % of kind 4: as nearly as whole numbers allow, except
/// that every kind occurs where there are at least four rows. The same seed makes the same files,
/// whatever the number of threads. Throws Error for options out of range and when a file cannot be
/// written.
void synthesize_steel(const std::string& dir, const SyntheticSteelOptions& options);

}  // namespace fettle
