#include "io/picture.h"

#include <stb_image.h>

#include <algorithm>
#include <limits>
#include <memory>

#include "engine/error.h"
#include "io/read_file.h"

namespace fettle {
namespace {

// EXIF orientation: 5 to 8 are stored with rows and columns exchanged; see the tag Orientation in
// the EXIF 2.3 standard.
Picture turn_upright(Picture stored, int orientation) {
  if (orientation == 1) return stored;
  const auto is_one_of = [&](auto... values) { return ((orientation == values) || ...); };
  const bool exchanged = orientation >= 5;
  const bool upside_down = is_one_of(3, 4, 6, 7), mirrored = is_one_of(2, 3, 7, 8);
  Picture upright = stored;
  if (exchanged) std::swap(upright.height, upright.width);
  uint8_t* out = upright.pixels.data();
  for (int y = 0; y < upright.height; ++y) {
    for (int x = 0; x < upright.width; ++x, out += stored.channels) {
      const int across = exchanged ? y : x, down = exchanged ? x : y;
      const size_t row = upside_down ? stored.height - 1 - down : down;
      const size_t column = mirrored ? stored.width - 1 - across : across;
      std::copy_n(&stored.pixels[(row * stored.width + column) * stored.channels], stored.channels,
                  out);
    }
  }
  return upright;
}

}  // namespace

PictureSize picture_size(const std::string& path, Bytes file) {
  require(!file.empty(), "the picture '", path, "' is empty: its file has no byte");
  const PictureFormat format = picture_format(file);
  require(format != PictureFormat::none, "'", path, "' is not a JPEG, PNG, BMP or GIF picture");
  require(is_complete(format, file), "the picture '", path, "' is cut off before its end");
  require(has_sound_tables(file), "the picture '", path, "' has damaged Huffman tables");
  require(file.size() <= size_t{std::numeric_limits<int>::max()}, "the picture '", path,
          "' has more than 2 GiB");
  int width = 0, height = 0, channels = 0;
  constexpr int64_t million = max_picture_pixels / 1'000'000;
  // stb does not tell a damaged header from one that asks for more than it can address.
  require(stbi_info_from_memory(file.data(), static_cast<int>(file.size()), &width, &height,
                                &channels) != 0,
          "the picture '", path, "' has a damaged header, or far more than the ", million,
          " million pixels that are accepted");
  require(int64_t{width} * height <= max_picture_pixels, "the picture '", path, "' has ", width,
          " x ", height, " pixels; at most ", million, " million are accepted");
  if (exif_orientation(file) >= 5) std::swap(width, height);
  return {height, width};
}

void check_picture(const std::string& path, Bytes file) {
  picture_size(path, file);
}

Picture read_picture(const std::string& path, int channels) {
  return decode_picture(path, read_file(path), channels);
}

Picture decode_picture(const std::string& path, Bytes file, int channels) {
  require(channels == 1 || channels == 3, "pictures are read with 1 or 3 channels, not ", channels);
  check_picture(path, file);
  Picture picture{0, 0, channels, {}};
  int stored_channels = 0;
  const std::unique_ptr<stbi_uc, decltype(&stbi_image_free)> pixels(
      stbi_load_from_memory(file.data(), static_cast<int>(file.size()), &picture.width,
                            &picture.height, &stored_channels, channels),
      stbi_image_free);
  if (!pixels) throw Error("the picture '", path, "' cannot be decoded: ", stbi_failure_reason());
  picture.pixels.assign(pixels.get(),
                        pixels.get() + size_t{1} * picture.height * picture.width * channels);
  return turn_upright(std::move(picture), exif_orientation(file));
}

}  // namespace fettle
