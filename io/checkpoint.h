// A run's state in one file, so that a checkpoint is whole or not there.
#pragma once

#include <string>

#include "engine/train/training_state.h"

namespace fettle {

/// Writes the state as a safetensors file whose __metadata__ holds the values.
void write_checkpoint(const std::string& path, const TrainingState& state);

/// Reads what write_checkpoint() wrote, with every tensor in memory of its own. Throws Error naming
/// the file when it is missing or cut off anywhere.
TrainingState read_checkpoint(const std::string& path);

}  // namespace fettle
