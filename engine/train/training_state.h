// Everything that a run needs to go on exactly where it stopped.
#pragma once

#include <map>
#include <string>

#include "engine/named_tensor.h"

namespace fettle {

struct TrainingState {
  /// The model, the optimiser's slots and the best weights so far, told apart by the beginning of
  /// their names: "model/...", "optimizer/...", "best/...".
  NamedTensors tensors;
  /// Small facts as text: epoch, step, learning_rate (hexadecimal, so that no bit is lost), the
  /// state of each callback, the history.
  std::map<std::string, std::string> values;
};

}  // namespace fettle
