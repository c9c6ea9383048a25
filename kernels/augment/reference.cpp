#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/augment/augment.h"
#include "kernels/augment/mirror.h"

namespace fettle {

void augment(Reference, const Pictures& p, const PictureChanges& changes, float* y) {
  const int64_t size = p.H * p.W * p.C;
  for (int64_t n = 0; n < p.N; ++n) {
    std::vector<double> x;
    for (int64_t i = n * size; i < (n + 1) * size; ++i) {
      x.push_back(!p.bytes    ? p.floats[i]
                  : p.scaling ? (p.bytes[i] - double{p.scaling[2 * n]}) * p.scaling[2 * n + 1]
                              : p.bytes[i]);
    }
    for (int k = 0; k < changes.moves; ++k) {
      const std::vector<double> before = x;
      const float* t = changes.move[k].transforms + n * 6;
      for (int64_t i = 0; i < p.H; ++i)
        for (int64_t j = 0; j < p.W; ++j)
          for (int64_t c = 0; c < p.C; ++c) {
            const double column = double{t[0]} * j + double{t[1]} * i + t[2];
            const double row = double{t[3]} * j + double{t[4]} * i + t[5];
            const auto pixel = [&](double h, double w) {
              const int64_t hm = mirrored(static_cast<int64_t>(h), p.H);
              const int64_t wm = mirrored(static_cast<int64_t>(w), p.W);
              return before[(hm * p.W + wm) * p.C + c];
            };
            double& value = x[(i * p.W + j) * p.C + c];
            if (changes.move[k].interpolation == Interpolation::nearest) {
              value = pixel(std::floor(row + 0.5), std::floor(column + 0.5));
            } else {
              const double h = std::floor(row), w = std::floor(column);
              const double a = row - h, b = column - w;
              value = (1 - a) * ((1 - b) * pixel(h, w) + b * pixel(h, w + 1)) +
                      a * ((1 - b) * pixel(h + 1, w) + b * pixel(h + 1, w + 1));
            }
          }
    }
    for (int k = 0; k < changes.colours; ++k) {
      const ColourChange& change = changes.colour[k];
      std::vector<double> mean(static_cast<size_t>(p.C));
      for (int64_t i = 0; i < size; ++i) mean[i % p.C] += x[i] / static_cast<double>(p.H * p.W);
      for (int64_t i = 0; i < size; ++i) {
        if (change.kind == ColourChange::Kind::rescale) x[i] = change.a * x[i] + change.b;
        if (change.kind == ColourChange::Kind::contrast)
          x[i] = (x[i] - mean[i % p.C]) * change.drawn[n] + mean[i % p.C];
        if (change.kind == ColourChange::Kind::brightness)
          x[i] = std::clamp<double>(x[i] + change.drawn[n], change.a, change.b);
      }
    }
    for (int64_t i = 0; i < size; ++i) y[n * size + i] = static_cast<float>(x[i]);
  }
}

}  // namespace fettle
