// Random changes of training pictures [N,H,W,C]; what is drawn for a picture is an argument here.
//
// Geometry: output pixel (column j, row i) takes its value at the input position
//   column = t[0]*j + t[1]*i + t[2],   row = t[3]*j + t[4]*i + t[5]
// with t = transforms[n], so that a picture and its mask can go through one geometry. Outside the
// picture stands its mirror image, the edge pixel repeated (... c b a | a b c ... c | c b a ...).
#pragma once

#include <cstdint>

#include "kernels/device.h"

namespace fettle {

struct PictureShape {
  int64_t N = 1, H = 1, W = 1, C = 1;
};

enum class Interpolation { nearest, bilinear };

/// transforms [N,6]. y must not be x.
void affine_transform(Cpu, const PictureShape& shape, Interpolation interpolation, const float* x,
                      const float* transforms, float* y);
void affine_transform(Cuda, const PictureShape& shape, Interpolation interpolation, const float* x,
                      const float* transforms, float* y);
void affine_transform(Reference, const PictureShape& shape, Interpolation interpolation,
                      const float* x, const float* transforms, float* y);

/// y = (x - mean) * factors[n] + mean, with the mean of picture n's channel.
void adjust_contrast(Cpu, const PictureShape& shape, const float* x, const float* factors,
                     float* y);
void adjust_contrast(Cuda, const PictureShape& shape, const float* x, const float* factors,
                     float* y);
void adjust_contrast(Reference, const PictureShape& shape, const float* x, const float* factors,
                     float* y);

/// y = min(max(x + deltas[n], low), high).
void adjust_brightness(Cpu, const PictureShape& shape, float low, float high, const float* x,
                       const float* deltas, float* y);
void adjust_brightness(Cuda, const PictureShape& shape, float low, float high, const float* x,
                       const float* deltas, float* y);
void adjust_brightness(Reference, const PictureShape& shape, float low, float high, const float* x,
                       const float* deltas, float* y);

}  // namespace fettle
