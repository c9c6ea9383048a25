// Counting what a classifier or a segmenter got right, in integers, so that the order does not
// matter.
#pragma once

#include <cstdint>

#include "kernels/device.h"

namespace fettle {

struct CountShape {
  int64_t N = 1;  ///< examples
  int64_t classes = 2;
  bool one_column = false;  ///< probabilities are [N,1], those of class 1 of two; else [N,classes]
  int64_t thresholds = 0;
};

/// Adds the examples to two tables.
///   confusion [classes,classes]: label by prediction, which is the first of the largest
///     probabilities, or with one column whether it is above 1/2
///   scores [classes,2,thresholds + 1]: for class k, whether it is the label, and the number of
///     `thresholds` (rising) that lie below its probability
/// A label outside [0, classes) is left out.
void count_predictions(Cpu, const CountShape& shape, const float* probabilities,
                       const int32_t* labels, const float* thresholds, int32_t* confusion,
                       int32_t* scores);
void count_predictions(Cuda, const CountShape& shape, const float* probabilities,
                       const int32_t* labels, const float* thresholds, int32_t* confusion,
                       int32_t* scores);
void count_predictions(Reference, const CountShape& shape, const float* probabilities,
                       const int32_t* labels, const float* thresholds, int32_t* confusion,
                       int32_t* scores);

struct PixelCountShape {
  int64_t pixels = 1, kinds = 1;
  int64_t bins = 200;
  float threshold = 0.5f;

  int64_t cells() const { return bins + 1; }
};

/// Adds pixels to counts [kinds,2,bins + 1]: for each kind, whether its target is at least 1/2, and
/// the bin floor(probability * bins), the last one for probability 1, or the cell after it where
/// the probability reaches `threshold`. So every threshold i / bins can be judged afterwards, and
/// `threshold` itself, whose bin is parted by it. probabilities and targets [pixels,kinds], 0 to 1.
void count_pixels(Cpu, const PixelCountShape& shape, const float* probabilities,
                  const float* targets, int32_t* counts);
void count_pixels(Cuda, const PixelCountShape& shape, const float* probabilities,
                  const float* targets, int32_t* counts);
void count_pixels(Reference, const PixelCountShape& shape, const float* probabilities,
                  const float* targets, int32_t* counts);

}  // namespace fettle
