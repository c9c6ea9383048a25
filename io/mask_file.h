// Masks stored as picture files.
#pragma once

#include <string>

#include "io/picture.h"

namespace fettle {

/// One number a pixel, [H,W].
struct MaskFile {
  int64_t height = 0, width = 0;
  /// Whether the numbers are kinds, 0 being the background: the indices of a palette, whatever its
  /// colours are, or the colours of a picture numbered in rising order of (R,G,B), of which black
  /// is 0. Otherwise they are grey values, which need not be only 0 and 255.
  bool indices = false;
  std::vector<uint8_t> values;
};

/// Reads a mask. A palette of rising greys is grey. Throws Error naming the file when it is no
/// whole picture or has more than 255 colours.
MaskFile read_mask_file(const std::string& path);

}  // namespace fettle
