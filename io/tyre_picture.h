// Drawing tyre treads, good and defective, from random numbers alone.
#pragma once

#include <optional>
#include <string>

#include "io/picture.h"
#include "kernels/philox.h"

namespace fettle {

/// What is wrong with a drawn tread, and the smallest box of whole pixels around it.
struct TyreDefect {
  std::string kind;  ///< crack, cut, bulge, chunk, worn or nail
  int x = 0, y = 0, width = 0, height = 0;
};

struct TyrePicture {
  Picture picture;  ///< RGB
  std::optional<TyreDefect> defect;
};

/// Draws the tread of this key, whose step chooses the kind of the defect by turns: a height field
/// of one of four patterns, turned, curved, lit and photographed differently each time. Light, dust
/// and shadows vary alike with and without a defect, so that the mean brightness says nothing about
/// it.
TyrePicture draw_tyre(RandomKey key, int size, bool defective);

}  // namespace fettle
