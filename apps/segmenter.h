// Masks of pictures at their own size, by a trained model.
#pragma once

#include "apps/trained_model.h"
#include "io/picture.h"
#include "io/run_length.h"

namespace fettle {

/// A picture with the probability of each kind at each of its pixels.
struct Segmentation {
  Picture picture;       ///< as read, of the model's channels
  Tensor probabilities;  ///< f32 [1,H,W,kinds] on the host

  /// One mask a kind, of which a pixel is in one at most (is_marked()).
  std::vector<Mask> masks(double threshold) const;
};

/// Reads pictures and segments them: on a CPU by the network that the model compiles to, which is
/// quicker than its layers.
class Segmenter {
 public:
  /// `tile` 0x0: 512x512 or eight times what the model sees, whichever is larger, and for pictures
  /// above a million pixels only. Throws Error when the model classifies, and ArgumentError for
  /// tiles that are too small for it.
  Segmenter(TrainedModel& model, Device device, ImageSize tile = {});

  /// A picture goes through the network at the size it was trained for, and the probabilities back
  /// to the picture's size, bilinear. Large ones go in tiles; see models/tiles.h. Throws Error
  /// naming a picture that cannot be read.
  Segmentation operator()(const std::string& path) const;

 private:
  TrainedModel& model_;
  Device device_;
  ImageSize tile_;
  ModelFunction probabilities_;
};

/// --tile HxW.
void add_tile(CLI::App& command, ImageSize& tile);

}  // namespace fettle
