#include <algorithm>
#include <cmath>

#include "kernels/augment/augment.h"
#include "kernels/augment/mirror.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/parallel.h"
#include "kernels/recycling.h"
#include "kernels/scratch.h"

namespace fettle {
namespace {

/// One output row. Channels is the compile-time channel count, or 0 for any.
template <int Channels>
void move_row(const Pictures& p, const float* x, const PictureMove& move, const float* t, int64_t i,
              float* y) {
  const int64_t C = Channels > 0 ? Channels : p.C;
  const float column0 = t[1] * static_cast<float>(i) + t[2];
  const float row0 = t[4] * static_cast<float>(i) + t[5];
  const bool nearest = move.interpolation == Interpolation::nearest;
  for (int64_t j = 0; j < p.W; ++j, y += C) {
    const float column = t[0] * static_cast<float>(j) + column0;
    const float row = t[3] * static_cast<float>(j) + row0;
    const float h = std::floor(nearest ? row + 0.5f : row);
    const float w = std::floor(nearest ? column + 0.5f : column);
    const float* top = x + mirrored(static_cast<int64_t>(h), p.H) * p.W * C;
    const int64_t left = mirrored(static_cast<int64_t>(w), p.W) * C;
    if (nearest) {
      std::copy_n(top + left, C, y);
      continue;
    }
    const float* bottom = x + mirrored(static_cast<int64_t>(h) + 1, p.H) * p.W * C;
    const int64_t right = mirrored(static_cast<int64_t>(w) + 1, p.W) * C;
    const float a = row - h, b = column - w;
    for (int64_t c = 0; c < C; ++c) {
      const float above = top[left + c] + b * (top[right + c] - top[left + c]);
      const float below = bottom[left + c] + b * (bottom[right + c] - bottom[left + c]);
      y[c] = above + a * (below - above);
    }
  }
}

/// Of picture n, from x to y.
void move_picture(const Pictures& p, int64_t n, const PictureMove& move, const float* x, float* y) {
  const auto row = p.C == 1 ? move_row<1> : p.C == 3 ? move_row<3> : move_row<0>;
  for (int64_t i = 0; i < p.H; ++i) row(p, x, move, move.transforms + n * 6, i, y + i * p.W * p.C);
}

/// Of picture n, from x to y, which may be one.
void colour_picture(const Pictures& p, int64_t n, const ColourChange& change, const float* x,
                    float* y) {
  const int64_t size = p.H * p.W * p.C;
  switch (change.kind) {
    case ColourChange::Kind::rescale:
      scale_offset(Cpu{}, size, change.a, change.b, x, y);
      return;
    case ColourChange::Kind::contrast: {
      RecycledVector<double> sums(static_cast<size_t>(p.C));
      for (int64_t i = 0; i < size; i += p.C)
        for (int64_t c = 0; c < p.C; ++c) sums[c] += x[i + c];
      const float factor = change.drawn[n];
      RecycledVector<float> offset;  // mean * (1 - factor)
      for (double sum : sums) {
        offset.push_back(static_cast<float>(sum / static_cast<double>(p.H * p.W) * (1.0 - factor)));
      }
      for (int64_t i = 0; i < size; i += p.C)
        for (int64_t c = 0; c < p.C; ++c) y[i + c] = x[i + c] * factor + offset[c];
      return;
    }
    case ColourChange::Kind::brightness:
      for (int64_t i = 0; i < size; ++i)
        y[i] = std::clamp(x[i] + change.drawn[n], change.a, change.b);
      return;
  }
}

}  // namespace

// A picture goes through the whole list while it lies in the cache.
void augment(Cpu, const Pictures& p, const PictureChanges& changes, float* y) {
  const int64_t size = p.H * p.W * p.C;
  parallel_tasks(p.N, [&](int64_t n) {
    thread_local Scratch scratch[2];
    float* const out = y + n * size;
    const float* x = p.floats + n * size;
    int used = 0;
    const auto next = [&](bool last) { return last ? out : scratch[used++ % 2].floats(size); };
    if (p.bytes) {
      const uint8_t* bytes = p.bytes + n * size;
      const float mean = p.scaling ? p.scaling[2 * n] : 0;
      const float factor = p.scaling ? p.scaling[2 * n + 1] : 1;
      float* to = next(changes.moves == 0);
      for (int64_t i = 0; i < size; ++i) to[i] = (static_cast<float>(bytes[i]) - mean) * factor;
      x = to;
    }
    for (int k = 0; k < changes.moves; ++k) {
      float* to = next(k + 1 == changes.moves);
      move_picture(p, n, changes.move[k], x, to);
      x = to;
    }
    for (int k = 0; k < changes.colours; ++k) {
      colour_picture(p, n, changes.colour[k], x, out);
      x = out;
    }
    if (x != out) std::copy_n(x, size, out);
  });
}

}  // namespace fettle
