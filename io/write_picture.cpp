#include <stb_image_write.h>

#include "engine/error.h"
#include "io/atomic_file.h"
#include "io/picture.h"

namespace fettle {
namespace {

void check(const Picture& picture) {
  const auto& [height, width, channels, pixels] = picture;
  require(height > 0 && width > 0 && (channels == 1 || channels == 3) &&
              pixels.size() == size_t{1} * height * width * channels,
          "a picture to be written has 1 or 3 channels and all its pixels, not ", height, "x",
          width, "x", channels, " with ", pixels.size());
}

// stb hands over its output in pieces.
void append(void* bytes, void* piece, int size) {
  static_cast<std::string*>(bytes)->append(static_cast<const char*>(piece),
                                           static_cast<size_t>(size));
}

}  // namespace

void write_png(const std::string& path, const Picture& picture) {
  check(picture);
  std::string bytes;
  require(stbi_write_png_to_func(append, &bytes, picture.width, picture.height, picture.channels,
                                 picture.pixels.data(), picture.width * picture.channels) != 0,
          "out of memory while writing '", path, "'");
  write_file(path, bytes);
}

std::string to_jpeg(const Picture& picture, int quality) {
  check(picture);
  std::string bytes;
  require(stbi_write_jpg_to_func(append, &bytes, picture.width, picture.height, picture.channels,
                                 picture.pixels.data(), quality) != 0,
          "a picture of ", picture.height, "x", picture.width, " cannot become a JPEG");
  return bytes;
}

void write_jpeg(const std::string& path, const Picture& picture, int quality) {
  write_file(path, to_jpeg(picture, quality));
}

}  // namespace fettle
