#include "io/picture_format.h"

#include <cstdlib>
#include <cstring>
#include <string_view>

namespace fettle {
namespace {

// The number of `count` bytes at `at`; what lies beyond the end reads as 0.
uint32_t big_endian(Bytes file, size_t at, int count) {
  uint32_t value = 0;
  for (int i = 0; i < count; ++i, ++at) value = value << 8 | (at < file.size() ? file[at] : 0u);
  return value;
}

uint32_t little_endian(Bytes file, size_t at, int count) {
  uint32_t value = 0;
  while (count-- > 0) value = value << 8 | (at + count < file.size() ? file[at + count] : 0u);
  return value;
}

bool starts_with(Bytes file, std::string_view signature) {
  return file.size() >= signature.size() &&
         std::memcmp(file.data(), signature.data(), signature.size()) == 0;
}

// Calls visit(marker, payload) for the segments of a JPEG; returns whether the end marker came.
template <class Visit>
bool walk_jpeg(Bytes file, const Visit& visit) {
  size_t at = 2;
  while (at + 1 < file.size()) {
    // Compressed data and stray bytes end at the next FF; there, FF 00 is a plain FF.
    const void* found = std::memchr(&file[at], 0xFF, file.size() - 1 - at);
    if (!found) return false;
    at = static_cast<size_t>(static_cast<const uint8_t*>(found) - file.data()) + 1;
    const uint8_t marker = file[at];
    if (marker == 0xFF) continue;  // fill
    ++at;
    if (marker == 0xD9) return true;
    const bool alone = marker <= 0x01 || (marker >= 0xD0 && marker <= 0xD8);
    if (alone) continue;
    const size_t length = big_endian(file, at, 2);
    if (length < 2 || at + length > file.size()) return false;
    visit(marker, file.subspan(at + 2, length - 2));
    at += length;
  }
  return false;
}

bool png_is_complete(Bytes file) {
  for (size_t at = 8; at + 12 <= file.size();) {
    const size_t next = at + 12 + big_endian(file, at, 4);  // length, type, data, checksum
    if (std::memcmp(&file[at + 4], "IEND", 4) == 0) return next <= file.size();
    at = next;
  }
  return false;
}

bool bmp_is_complete(Bytes file) {
  const bool old = little_endian(file, 14, 4) == 12;  // OS/2 header with 16-bit sizes
  const int64_t width = static_cast<int32_t>(little_endian(file, 18, old ? 2 : 4));
  const int64_t height = static_cast<int32_t>(little_endian(file, old ? 20 : 22, old ? 2 : 4));
  const int64_t row = (width * little_endian(file, old ? 24 : 28, 2) + 31) / 32 * 4;
  const auto size = static_cast<int64_t>(file.size());
  return row >= 0 && row <= size && std::abs(height) <= size &&
         little_endian(file, 10, 4) + row * std::abs(height) <= size;
}

bool gif_is_complete(Bytes file) {
  const auto table = [&](size_t flags_at) -> size_t {
    const uint32_t flags = little_endian(file, flags_at, 1);
    return flags & 0x80 ? 3u << ((flags & 7) + 1) : 0;
  };
  size_t at = 13 + table(10);
  while (at < file.size()) {
    const bool frame = file[at] == 0x2C;
    if (!frame && file[at] != 0x21) return false;
    at += frame ? 11 + table(at + 9) : 2;  // up to the sub-blocks
    while (at < file.size() && file[at] != 0) at += 1u + file[at];
    if (frame) return at < file.size();
    ++at;
  }
  return false;
}

// The orientation in the first directory of a TIFF file, which is what EXIF data are.
int tiff_orientation(Bytes tiff) {
  const bool big = starts_with(tiff, "MM");
  const auto number = [&](size_t at, int count) {
    return big ? big_endian(tiff, at, count) : little_endian(tiff, at, count);
  };
  const size_t directory = number(4, 4);
  const size_t entries = number(directory, 2);
  for (size_t i = 0; i < entries; ++i) {
    const size_t entry = directory + 2 + 12 * i;
    if (number(entry, 2) != 0x0112) continue;
    const uint32_t orientation = number(entry + 8, 2);
    return orientation >= 1 && orientation <= 8 ? static_cast<int>(orientation) : 1;
  }
  return 1;
}

}  // namespace

PictureFormat picture_format(Bytes file) {
  if (starts_with(file, "\xFF\xD8\xFF")) return PictureFormat::jpeg;
  if (starts_with(file, "\x89PNG\r\n\x1A\n")) return PictureFormat::png;
  if (starts_with(file, "GIF87a") || starts_with(file, "GIF89a")) return PictureFormat::gif;
  const uint32_t header = little_endian(file, 14, 4);  // the letters BM alone begin texts too
  const bool known = header == 12 || header == 40 || header == 56 || header == 108 || header == 124;
  return starts_with(file, "BM") && known ? PictureFormat::bmp : PictureFormat::none;
}

bool is_complete(PictureFormat format, Bytes file) {
  switch (format) {
    case PictureFormat::jpeg:
      return walk_jpeg(file, [](uint8_t, Bytes) {});
    case PictureFormat::png:
      return png_is_complete(file);
    case PictureFormat::bmp:
      return bmp_is_complete(file);
    case PictureFormat::gif:
      return gif_is_complete(file);
    case PictureFormat::none:
      break;
  }
  return false;
}

bool has_sound_tables(Bytes file) {
  bool sound = true;
  if (picture_format(file) != PictureFormat::jpeg) return sound;
  walk_jpeg(file, [&](uint8_t marker, Bytes payload) {
    if (marker != 0xC4) return;
    while (sound && !payload.empty()) {  // a byte, sixteen counts, as many values
      size_t values = 0;
      for (size_t i = 1; i <= 16 && i < payload.size(); ++i) values += payload[i];
      sound = values <= 256 && 17 + values <= payload.size();
      if (sound) payload = payload.subspan(17 + values);
    }
  });
  return sound;
}

int exif_orientation(Bytes file) {
  int orientation = 1;
  if (picture_format(file) != PictureFormat::jpeg) return orientation;
  walk_jpeg(file, [&](uint8_t marker, Bytes payload) {
    constexpr std::string_view exif("Exif\0\0", 6);
    if (marker == 0xE1 && starts_with(payload, exif))
      orientation = tiff_orientation(payload.subspan(exif.size()));
  });
  return orientation;
}

}  // namespace fettle
