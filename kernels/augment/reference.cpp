#include <algorithm>
#include <cmath>

#include "kernels/augment/augment.h"
#include "kernels/augment/mirror.h"

namespace fettle {

void affine_transform(Reference, const PictureShape& s, Interpolation interpolation, const float* x,
                      const float* transforms, float* y) {
  for (int64_t n = 0; n < s.N; ++n)
    for (int64_t i = 0; i < s.H; ++i)
      for (int64_t j = 0; j < s.W; ++j)
        for (int64_t c = 0; c < s.C; ++c) {
          const float* t = transforms + n * 6;
          const double column = double{t[0]} * j + double{t[1]} * i + t[2];
          const double row = double{t[3]} * j + double{t[4]} * i + t[5];
          const auto pixel = [&](double h, double w) -> double {
            const int64_t hm = mirrored(static_cast<int64_t>(h), s.H);
            const int64_t wm = mirrored(static_cast<int64_t>(w), s.W);
            return x[((n * s.H + hm) * s.W + wm) * s.C + c];
          };
          double value = 0;
          if (interpolation == Interpolation::nearest) {
            value = pixel(std::floor(row + 0.5), std::floor(column + 0.5));
          } else {
            const double h = std::floor(row), w = std::floor(column);
            const double a = row - h, b = column - w;
            value = (1 - a) * ((1 - b) * pixel(h, w) + b * pixel(h, w + 1)) +
                    a * ((1 - b) * pixel(h + 1, w) + b * pixel(h + 1, w + 1));
          }
          y[((n * s.H + i) * s.W + j) * s.C + c] = static_cast<float>(value);
        }
}

void adjust_contrast(Reference, const PictureShape& s, const float* x, const float* factors,
                     float* y) {
  const int64_t pixels = s.H * s.W;
  for (int64_t n = 0; n < s.N; ++n)
    for (int64_t c = 0; c < s.C; ++c) {
      double mean = 0;
      for (int64_t i = 0; i < pixels; ++i) mean += x[(n * pixels + i) * s.C + c];
      mean /= static_cast<double>(pixels);
      for (int64_t i = 0; i < pixels; ++i) {
        const int64_t at = (n * pixels + i) * s.C + c;
        y[at] = static_cast<float>((x[at] - mean) * factors[n] + mean);
      }
    }
}

void adjust_brightness(Reference, const PictureShape& s, float low, float high, const float* x,
                       const float* deltas, float* y) {
  const int64_t size = s.H * s.W * s.C;
  for (int64_t i = 0; i < s.N * size; ++i) y[i] = std::clamp(x[i] + deltas[i / size], low, high);
}

}  // namespace fettle
