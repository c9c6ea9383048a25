#include <filesystem>

#include "apps/embedded/load.h"

namespace fettle {

SingleFile load_for_prediction(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error))
    throw Error("'", path, "' is a folder, and this build reads single-file models only: make one ",
                "with  fettle export ", path, " --single-file model.fettle");
  return load_file(path);
}

}  // namespace fettle
