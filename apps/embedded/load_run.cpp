#include <filesystem>

#include "apps/embedded/load.h"
#include "apps/single_file.h"

namespace fettle {

SingleFile load_for_prediction(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_directory(path, error)) return load_file(path);
  RunOptions options;
  options.run = path;
  TrainedModel model = load_model(options, Device::cpu());
  SingleFile file = to_single_file(model);
  file.memory = 4 * file.network.parameters();
  return file;
}

}  // namespace fettle
