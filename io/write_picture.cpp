#include <stb_image_write.h>

#include "engine/error.h"
#include "io/atomic_file.h"
#include "io/picture.h"

namespace fettle {
namespace {

void check_writable(const std::string& path, const Picture& picture) {
  const auto& [height, width, channels, pixels] = picture;
  require(height > 0 && width > 0 && (channels == 1 || channels == 3) &&
              pixels.size() == size_t{1} * height * width * channels,
          "cannot write '", path, "': a picture has 1 or 3 channels and all its pixels");
}

// stb hands over its output in pieces.
void append(void* bytes, void* piece, int size) {
  static_cast<std::string*>(bytes)->append(static_cast<const char*>(piece),
                                           static_cast<size_t>(size));
}

}  // namespace

void write_png(const std::string& path, const Picture& picture) {
  check_writable(path, picture);
  std::string bytes;
  require(stbi_write_png_to_func(append, &bytes, picture.width, picture.height, picture.channels,
                                 picture.pixels.data(), picture.width * picture.channels) != 0,
          "out of memory while writing '", path, "'");
  write_file(path, bytes);
}

void write_jpeg(const std::string& path, const Picture& picture, int quality) {
  check_writable(path, picture);
  std::string bytes;
  require(stbi_write_jpg_to_func(append, &bytes, picture.width, picture.height, picture.channels,
                                 picture.pixels.data(), quality) != 0,
          "'", path, "' cannot be written as a JPEG");
  write_file(path, bytes);
}

}  // namespace fettle
