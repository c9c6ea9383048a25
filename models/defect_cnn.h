// Is a defect anywhere in this picture? A small Sequential CNN that learns from a few hundred
// pictures of any size.
#pragma once

#include "layers/sequential.h"
#include "models/model.h"

namespace fettle {

/// [N,H,W,3] pictures, 0 to 255, to logits [N,classes]. Each of the five stages is a convolution,
/// batch normalisation and ReLU; the largest response of each channel, wherever it is, decides.
Sequential defect_cnn(const ModelOptions& options);

}  // namespace fettle
