#include "io/heat_map.h"

#include <algorithm>
#include <cmath>

#include "engine/error.h"
#include "io/overlay.h"

namespace fettle {

Picture draw_heat_map(const Picture& picture, std::span<const float> heat,
                      const std::string& title) {
  const size_t pixels = static_cast<size_t>(picture.height) * static_cast<size_t>(picture.width);
  require(heat.size() == pixels, "a heat map of ", heat.size(),
          " numbers does not fit a picture of ", picture.height, "x", picture.width);
  const float hottest = heat.empty() ? 0 : *std::max_element(heat.begin(), heat.end());
  const auto channels = static_cast<size_t>(picture.channels);
  Picture warm{picture.height, picture.width, 3, {}};
  for (size_t i = 0; i < pixels; ++i) {
    const float h = hottest > 0 ? heat[i] / hottest : 0;
    const float opacity = 0.6f * h;
    const float colour[3] = {255, 255 * (1 - h), 0};  // from yellow to red
    for (size_t c = 0; c < 3; ++c) {
      const float here = picture.pixels[i * channels + (channels == 1 ? 0 : c)];
      warm.pixels.push_back(static_cast<uint8_t>(std::lround(here + opacity * (colour[c] - here))));
    }
  }
  return draw_overlay(warm, {}, title);
}

}  // namespace fettle
