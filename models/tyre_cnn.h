// Is this tyre good or defective? A Sequential CNN for pictures of treads.
#pragma once

#include "layers/sequential.h"
#include "models/model.h"

namespace fettle {

/// [N,512,512,3] pictures, 0 to 255, to logits [N,classes]; 33,578,402 parameters at 512x512 and
/// two classes.
Sequential tyre_cnn(const ModelOptions& options);

}  // namespace fettle
