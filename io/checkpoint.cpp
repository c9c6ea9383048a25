#include "io/checkpoint.h"

#include "io/safetensors.h"

namespace fettle {

void write_checkpoint(const std::string& path, const TrainingState& state) {
  write_safetensors(path, state.tensors, state.values);
}

TrainingState read_checkpoint(const std::string& path) {
  const SafetensorsFile file(path);
  TrainingState state;
  state.values = file.metadata();
  for (const auto& [name, entry] : file.entries()) state.tensors.push_back({name, file.read(name)});
  return state;
}

}  // namespace fettle
