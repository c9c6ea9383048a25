// A trained run as a model in one file.
#pragma once

#include "apps/trained_model.h"
#include "io/single_file.h"

namespace fettle {

/// The model, folded for prediction, with all that its run says about pictures and classes. Throws
/// Error when it computes something that single files cannot hold.
SingleFile to_single_file(TrainedModel& model);

}  // namespace fettle
