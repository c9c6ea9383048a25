// Pictures: decoding, resizing, writing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/picture_format.h"

namespace fettle {

struct Picture {
  int height = 0, width = 0, channels = 0;
  std::vector<uint8_t> pixels;  ///< [H,W,C]
};

/// More pixels than this are refused before anything is decoded.
constexpr int64_t max_picture_pixels = 100'000'000;

/// Checks a picture file without decoding it. Throws Error naming the file when it is not a JPEG,
/// PNG, BMP or GIF by its content, is cut off, or has more than max_picture_pixels pixels.
void check_picture(const std::string& path, Bytes file);

/// Height and width of a picture file as read_picture() would give it, from its header. Throws as
/// check_picture().
struct PictureSize {
  int64_t height = 0, width = 0;
  bool operator==(const PictureSize&) const = default;
};
PictureSize picture_size(const std::string& path, Bytes file);

/// Reads a picture as `channels` 1 (grey) or 3 (RGB) of 8 bits.
///
/// The content decides the format, never the extension: JPEG (baseline, progressive, grey, CMYK),
/// PNG (any depth, palette, grey, alpha), BMP, the first frame of a GIF. 16 bits become the upper
/// 8. Transparency is dropped, not blended, as Keras does. Grey is (77 R + 150 G + 29 B) / 256
/// (ITU-R BT.601), for a colour JPEG its own luma; RGB of a grey picture is the grey thrice. A
/// JPEG's EXIF orientation is applied, which tf.io.decode_jpeg leaves to the caller.
/// Throws Error naming the file as check_picture() does, and when the data cannot be decoded.
Picture read_picture(const std::string& path, int channels = 3);
/// The same of a file's bytes; `path` is for messages.
Picture decode_picture(const std::string& path, Bytes file, int channels = 3);

/// Bilinear resizing with antialiasing: shrinking averages with a triangle as wide as two output
/// pixels, as PIL's BILINEAR and tf.image.resize(antialias=True) do. tf.image.resize as Keras's
/// image_dataset_from_directory calls it (antialias=False) reads four input pixels however far the
/// picture shrinks, and so lets fine texture alias. Enlarging is the same in all of them:
/// half-pixel centres, edges repeated.
Picture resize(const Picture& picture, int height, int width);

/// (pixel - mean) * factor.
struct Scaling {
  float mean = 0, factor = 1;
};

/// What gives a picture the mean 0 and the standard deviation 1 over all its channels; a picture of
/// one colour becomes 0.
Scaling standardization(const Picture& picture);

/// Writes a picture of 1 or 3 channels, whole or not at all; see io/atomic_file.h.
void write_png(const std::string& path, const Picture& picture);
/// A picture of 1 or 3 channels as the bytes of a JPEG file. `quality` from 1 to 100.
std::string to_jpeg(const Picture& picture, int quality = 90);
void write_jpeg(const std::string& path, const Picture& picture, int quality = 90);

}  // namespace fettle
