// A made data set with known answers: tyre treads, good and defective.
#pragma once

#include <cstdint>
#include <string>

namespace fettle {

/// Writes `dir`/good/0001.jpg ... and `dir`/defective/0001.jpg ..., `count_per_class` each, of
/// image_size x image_size pixels, and `dir`/defects.csv with one line a defective picture:
/// image,kind,x,y,width,height, the box in pixels from the upper left; the kinds of
/// io/tyre_picture.h take turns. The same seed makes the
/// same pictures, whatever the number of threads. Throws Error when a file cannot be written.
void synthesize_tyres(const std::string& dir, int64_t count_per_class, int64_t image_size,
                      uint64_t seed);

}  // namespace fettle
