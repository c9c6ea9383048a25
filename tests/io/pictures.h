// Pictures made in tests.
#pragma once

#include "io/picture.h"

namespace fettle {

/// A picture in which every pixel differs from its neighbours; `salt` tells pictures apart.
inline Picture made_picture(int height, int width, int channels = 3, int salt = 0) {
  Picture picture{height, width, channels, {}};
  for (int i = 0; i < height * width * channels; ++i)
    picture.pixels.push_back(static_cast<uint8_t>(i * 37 + salt * 11));
  return picture;
}

/// A picture of one colour.
inline Picture plain_picture(int height, int width, int value) {
  return {height, width, 3,
          std::vector<uint8_t>(static_cast<size_t>(height) * width * 3, uint8_t(value))};
}

}  // namespace fettle
