// Is this car damaged? A Sequential CNN for photographs of cars.
#pragma once

#include "layers/sequential.h"
#include "models/model.h"

namespace fettle {

/// [N,224,224,3] pictures, 0 to 255, to the logit of class 1, [N,1] (or [N,classes] for more than
/// two classes); 4,365,285 parameters at 224x224 and two classes.
Sequential wreck_cnn(const ModelOptions& options);

}  // namespace fettle
