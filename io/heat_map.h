// Numbers at the places of a picture, shown on it.
#pragma once

#include <span>
#include <string>

#include "io/picture.h"

namespace fettle {

/// Lays heat, one number from 0 on for each pixel, over a picture of 1 or 3 channels and gives it
/// as RGB with a title under it, as io/overlay.h does. The hottest pixel becomes 60 % red, those of
/// no heat stay as they are, and between them lie thinner red, orange and yellow. No heat anywhere
/// leaves the picture as it is. Throws Error when there is not a number a pixel.
Picture draw_heat_map(const Picture& picture, std::span<const float> heat,
                      const std::string& title);

}  // namespace fettle
