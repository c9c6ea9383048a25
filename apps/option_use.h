// Which options of fettle train have a use for a model, and beside which others.
#pragma once

#include "apps/train_options.h"

namespace fettle {

/// Throws ArgumentError naming an option that was given and would do nothing.
void check_use(const TrainOptions& options);

/// Throws ArgumentError naming the model, loss or augmentation that is not known.
void check_texts(const TrainOptions& options);

}  // namespace fettle
