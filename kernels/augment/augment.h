// Random changes of training pictures [N,H,W,C]; what is drawn for a picture is an argument here.
//
// Pictures come as f32 or as bytes, are moved, move by move, and then coloured, change by change.
// Every move samples what the moves before it show, so that a list gives what its parts give one
// after another; on a GPU all of it is one kernel, which writes f32 and keeps nothing between.
//
// A move: output pixel (column j, row i) takes its value at the input position
//   column = t[0]*j + t[1]*i + t[2],   row = t[3]*j + t[4]*i + t[5]
// with t = transforms[n], so that a picture and its mask can go through one geometry. Outside the
// picture stands its mirror image, the edge pixel repeated (... c b a | a b c ... c | c b a ...).
#pragma once

#include <cstdint>

#include "kernels/device.h"

namespace fettle {

/// [N,H,W,C] as they are before any change: `floats`, or `bytes`, each of which counts as
/// (byte - mean) * factor with its picture's numbers in `scaling` [N,2], or as itself without.
struct Pictures {
  int64_t N = 1, H = 1, W = 1, C = 1;
  const float* floats = nullptr;
  const uint8_t* bytes = nullptr;
  const float* scaling = nullptr;
};

/// The value at a place between pixels: of the pixel whose centre is nearest, or of four, weighted
/// by how near they are.
enum class Interpolation { nearest, bilinear };

struct PictureMove {
  const float* transforms = nullptr;  ///< [N,6]
  Interpolation interpolation = Interpolation::nearest;
};

/// A change of each value by itself.
struct ColourChange {
  enum class Kind {
    rescale,    ///< y = a * x + b
    contrast,   ///< y = (x - mean) * drawn[n] + mean, with the mean of picture n's channel
    brightness  ///< y = min(max(x + drawn[n], a), b)
  };
  Kind kind = Kind::rescale;
  const float* drawn = nullptr;  ///< [N]
  float a = 1, b = 0;
};

/// The moves, then the changes of colour, each in order.
struct PictureChanges {
  static constexpr int most = 3;  ///< of each
  int moves = 0, colours = 0;
  PictureMove move[most] = {};
  ColourChange colour[most] = {};
};

/// y f32 [N,H,W,C], which must not be among the pictures.
void augment(Cpu, const Pictures& pictures, const PictureChanges& changes, float* y);
void augment(Cuda, const Pictures& pictures, const PictureChanges& changes, float* y);
void augment(Reference, const Pictures& pictures, const PictureChanges& changes, float* y);

}  // namespace fettle
