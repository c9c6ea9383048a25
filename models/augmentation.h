// Augmentation chosen by a text, as the option --augment gives it.
#pragma once

#include <string>

#include "layers/augmentation.h"

namespace fettle {

/// Random layers, active only in training, from a list such as
///   flip=horizontal|vertical|both, rotation=0.1, zoom=0.1, contrast=0.1, brightness=0.1
/// separated by commas and applied in that order. "default" means `usual`, "none" an empty list.
/// Throws ArgumentError naming the part that is not understood.
Augmentation augmentation(const std::string& text, const std::string& usual);

}  // namespace fettle
