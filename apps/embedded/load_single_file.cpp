#include <filesystem>

#include "apps/embedded/load.h"
#include "io/read_file.h"

namespace fettle {

SingleFile load_for_prediction(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error))
    throw Error("'", path,
                "' is a folder, and this build reads single-file models only: write one "
                "with  fettle export ",
                path, " --single-file model.fettle");
  size_t size = 0;
  std::shared_ptr<const std::byte> file;
  try {
    file = map_file(path, size);
  } catch (const Error& error) {
    throw CannotRead(error.what());
  }
  return read_single_file(path, {reinterpret_cast<const uint8_t*>(file.get()), size}, file);
}

}  // namespace fettle
