// A trained run as a model in one file.
#pragma once

#include <optional>

#include "apps/trained_model.h"
#include "io/single_file.h"

namespace fettle {

/// The model, folded for prediction, with all that its run says about pictures and classes. Throws
/// Error when it computes something that single files cannot hold.
SingleFile to_single_file(TrainedModel& model);

/// The network that makes probabilities [1,h,w,kinds] of a segmenter's pictures of any size that is
/// a multiple of its own; nullopt where the model does not compile to one.
std::optional<inference::Network> network_of_any_size(TrainedModel& model);

}  // namespace fettle
