// Counting what a classifier got right, in integers, so that the order does not matter.
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

}  // namespace fettle
