#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/augment/augment.h"
#include "kernels/augment/mirror.h"
#include "kernels/parallel.h"

namespace fettle {
namespace {

/// One output row. Channels is the compile-time channel count, or 0 for any.
template <int Channels>
void transform_row(const PictureShape& s, Interpolation interpolation, const float* x,
                   const float* t, int64_t i, float* y) {
  const int64_t C = Channels > 0 ? Channels : s.C;
  const float column0 = t[1] * static_cast<float>(i) + t[2];
  const float row0 = t[4] * static_cast<float>(i) + t[5];
  for (int64_t j = 0; j < s.W; ++j, y += C) {
    const float column = t[0] * static_cast<float>(j) + column0;
    const float row = t[3] * static_cast<float>(j) + row0;
    const bool nearest = interpolation == Interpolation::nearest;
    const float h = std::floor(nearest ? row + 0.5f : row);
    const float w = std::floor(nearest ? column + 0.5f : column);
    const float* top = x + mirrored(static_cast<int64_t>(h), s.H) * s.W * C;
    const int64_t left = mirrored(static_cast<int64_t>(w), s.W) * C;
    if (nearest) {
      std::copy_n(top + left, C, y);
      continue;
    }
    const float* bottom = x + mirrored(static_cast<int64_t>(h) + 1, s.H) * s.W * C;
    const int64_t right = mirrored(static_cast<int64_t>(w) + 1, s.W) * C;
    const float a = row - h, b = column - w;
    for (int64_t c = 0; c < C; ++c) {
      const float above = top[left + c] + b * (top[right + c] - top[left + c]);
      const float below = bottom[left + c] + b * (bottom[right + c] - bottom[left + c]);
      y[c] = above + a * (below - above);
    }
  }
}

}  // namespace

void affine_transform(Cpu, const PictureShape& s, Interpolation interpolation, const float* x,
                      const float* transforms, float* y) {
  const auto row = s.C == 1 ? transform_row<1> : s.C == 3 ? transform_row<3> : transform_row<0>;
  parallel_for(s.N * s.H, 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t n = i / s.H;
      row(s, interpolation, x + n * s.H * s.W * s.C, transforms + n * 6, i % s.H,
          y + i * s.W * s.C);
    }
  });
}

void adjust_contrast(Cpu, const PictureShape& s, const float* x, const float* factors, float* y) {
  const int64_t pixels = s.H * s.W;
  parallel_tasks(s.N, [&](int64_t n) {
    const float* in = x + n * pixels * s.C;
    float* out = y + n * pixels * s.C;
    std::vector<double> mean(static_cast<size_t>(s.C));
    for (int64_t i = 0; i < pixels; ++i) {
      for (int64_t c = 0; c < s.C; ++c) mean[c] += in[i * s.C + c];
    }
    std::vector<float> offset;  // mean * (1 - factor)
    for (double sum : mean) {
      offset.push_back(static_cast<float>(sum / static_cast<double>(pixels) * (1.0 - factors[n])));
    }
    for (int64_t i = 0; i < pixels; ++i) {
      for (int64_t c = 0; c < s.C; ++c) {
        out[i * s.C + c] = in[i * s.C + c] * factors[n] + offset[c];
      }
    }
  });
}

void adjust_brightness(Cpu, const PictureShape& s, float low, float high, const float* x,
                       const float* deltas, float* y) {
  const int64_t size = s.H * s.W * s.C;
  parallel_tasks(s.N, [&](int64_t n) {
    for (int64_t i = n * size; i < (n + 1) * size; ++i) {
      y[i] = std::clamp(x[i] + deltas[n], low, high);
    }
  });
}

}  // namespace fettle
