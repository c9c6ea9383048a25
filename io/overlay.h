// Masks shown on their picture.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "io/picture.h"
#include "io/run_length.h"

namespace fettle {

using Colour = std::array<uint8_t, 3>;  ///< RGB

/// What was found of one kind, and how the legend calls it.
struct OverlayKind {
  std::string name;
  Mask mask;
  std::string note;  ///< for example "area 1,234 px, 0.93"
};

/// The colour of the kind with this index: the palette of Okabe and Ito without black, which the
/// colour-blind can tell apart. After seven kinds the colours begin again.
Colour overlay_colour(size_t kind);

/// Draws the masks on a picture of 1 or 3 channels and gives it as RGB.
///
/// A pixel of a mask becomes 60 % picture and 40 % the kind's colour, kind after kind. Around each
/// mask runs a contour of the pure colour, outside it so that thin defects stay visible, and over
/// all masks: 1 pixel wide, or 2 where a side of the picture has more than 1000 pixels. All other
/// pixels stay as they are.
///
/// A legend under the picture has the title, where there is one, and a line for each kind whose
/// mask is not empty; its letters grow with the picture. The picture stays in the upper left
/// corner; beside a picture too narrow for its legend the canvas is grey. Texts are shown in
/// printable ASCII, any other (UTF-8) character as '?', and end in "..." where they are too long.
///
/// Throws Error naming the kind whose mask has another size than the picture, and for a picture so
/// long and thin that the canvas would have more than twice max_picture_pixels.
Picture draw_overlay(const Picture& picture, const std::vector<OverlayKind>& kinds,
                     const std::string& title);

}  // namespace fettle
