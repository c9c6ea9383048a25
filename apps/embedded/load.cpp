#include "apps/embedded/load.h"

#include "io/read_file.h"

namespace fettle {

SingleFile load_file(const std::string& path) {
  size_t size = 0;
  std::shared_ptr<const std::byte> file;
  try {
    file = map_file(path, size);
  } catch (const Error& error) {
    throw CannotRead(error.what());
  }
  SingleFile model =
      read_single_file(path, {reinterpret_cast<const uint8_t*>(file.get()), size}, file);
  model.network.file = {file.get(), size};
  return model;
}

}  // namespace fettle
