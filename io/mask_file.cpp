#include "io/mask_file.h"

#include <algorithm>
#include <map>
#include <span>

#include "engine/error.h"
#include "io/read_file.h"

namespace fettle {
namespace {

/// The palette inside a file: entries of `stride` bytes, of which the first three are the colour.
struct Palette {
  std::span<uint8_t> bytes;
  size_t stride = 3;
};

uint32_t big_endian(Bytes bytes, size_t at) {
  return uint32_t{bytes[at]} << 24 | uint32_t{bytes[at + 1]} << 16 | uint32_t{bytes[at + 2]} << 8 |
         bytes[at + 3];
}

uint32_t little_endian(Bytes bytes, size_t at) {
  return uint32_t{bytes[at + 3]} << 24 | uint32_t{bytes[at + 2]} << 16 |
         uint32_t{bytes[at + 1]} << 8 | bytes[at];
}

/// PNG (RFC 2083): the chunk PLTE of a picture of colour type 3.
Palette png_palette(std::span<uint8_t> file) {
  constexpr size_t colour_type = 25, first_chunk = 8;
  if (file.size() <= colour_type || file[colour_type] != 3) return {};
  for (size_t at = first_chunk; at + 12 <= file.size();) {
    const size_t length = big_endian(file, at);
    if (length > file.size() - at - 12) break;
    if (std::equal(file.begin() + at + 4, file.begin() + at + 8, "PLTE"))
      return {file.subspan(at + 8, length), 3};
    at += length + 12;
  }
  return {};
}

/// BMP: between the headers and the pixels, where a pixel has up to 8 bits. An entry has 3 bytes
/// after the old 12-byte header, else 4.
Palette bmp_palette(std::span<uint8_t> file) {
  if (file.size() < 30) return {};
  const size_t pixels = little_endian(file, 10), header = little_endian(file, 14);
  const size_t bits = header == 12 ? file[24] : file[28], begin = 14 + header;
  if (bits > 8 || pixels > file.size() || begin > pixels) return {};
  return {file.subspan(begin, pixels - begin), header == 12 ? size_t{3} : size_t{4}};
}

/// Rewrites a palette so that decoding gives indices. False when there is none, or one that only
/// says that a grey value means itself.
bool show_indices(const Palette& palette) {
  bool greys = true;
  const size_t count = palette.bytes.size() / palette.stride;
  for (size_t i = 0; i < count; ++i)
    for (size_t c = 0; c < 3; ++c) greys = greys && palette.bytes[i * palette.stride + c] == i;
  if (greys) return false;
  for (size_t i = 0; i < count; ++i)
    std::fill_n(palette.bytes.begin() + i * palette.stride, 3, static_cast<uint8_t>(i));
  return true;
}

/// Colours as numbers in their order, black being 0 even where it does not occur.
std::vector<uint8_t> numbered_colours(const std::string& path, const Picture& picture) {
  const auto colour_at = [&](size_t pixel) {
    const uint8_t* rgb = &picture.pixels[3 * pixel];
    return uint32_t{rgb[0]} << 16 | uint32_t{rgb[1]} << 8 | rgb[2];
  };
  const size_t count = picture.pixels.size() / 3;
  std::map<uint32_t, uint8_t> numbers = {{0, 0}};
  for (size_t i = 0; i < count && numbers.size() <= 256; ++i) numbers[colour_at(i)] = 0;
  require(numbers.size() <= 256, "the mask '", path,
          "' has more than 255 colours, so it is a photograph or was blurred by compression; save "
          "masks as PNG");
  uint8_t next = 0;
  for (auto& [colour, number] : numbers) number = next++;
  std::vector<uint8_t> values(count);
  for (size_t i = 0; i < count; ++i) values[i] = numbers[colour_at(i)];
  return values;
}

}  // namespace

MaskFile read_mask_file(const std::string& path) {
  std::vector<uint8_t> file = read_file(path);
  const PictureFormat format = picture_format(file);
  const Palette palette = format == PictureFormat::png   ? png_palette(file)
                          : format == PictureFormat::bmp ? bmp_palette(file)
                                                         : Palette{};
  MaskFile mask;
  mask.indices = show_indices(palette);
  const Picture picture = decode_picture(path, file, 3);
  mask.height = picture.height;
  mask.width = picture.width;
  bool grey = true;
  for (size_t i = 0; i < picture.pixels.size() && grey; i += 3)
    grey = picture.pixels[i] == picture.pixels[i + 1] && picture.pixels[i] == picture.pixels[i + 2];
  if (grey) {
    mask.values.resize(picture.pixels.size() / 3);
    for (size_t i = 0; i < mask.values.size(); ++i) mask.values[i] = picture.pixels[3 * i];
  } else {
    mask.indices = true;
    mask.values = numbered_colours(path, picture);
  }
  return mask;
}

}  // namespace fettle
