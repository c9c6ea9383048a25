// The pictures that a training learns from and validates with.
#pragma once

#include <utility>

#include "apps/train_options.h"

namespace fettle {

/// The training and, unless neither a split nor other data are asked for, the validation data.
/// Throws Error when they do not fit together, or are no longer those of the run that goes on: then
/// the same split would validate with pictures that were trained on.
std::pair<Data, Data> read_data(const TrainOptions& options, Task task);

/// A checksum of the pictures of both parts, by their paths under the folders that were given, and
/// their labels.
std::string checksum_of(const TrainOptions& options, const Data& training, const Data& validation);

}  // namespace fettle
