// What drawing pictures from random numbers needs: places, smooth steps, draws and noise.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include "kernels/philox.h"

namespace fettle::drawing {

/// A place in the picture or a step between two, x to the right and y down.
struct Point {
  float x = 0, y = 0;
  friend Point operator+(Point a, Point b) { return {a.x + b.x, a.y + b.y}; }
  friend Point operator-(Point a, Point b) { return {a.x - b.x, a.y - b.y}; }
  friend Point operator*(float s, Point a) { return {s * a.x, s * a.y}; }
};
inline float dot(Point a, Point b) {
  return a.x * b.x + a.y * b.y;
}
inline float length(Point a) {
  return std::sqrt(dot(a, a));
}
inline Point direction(float angle) {
  return {std::cos(angle), std::sin(angle)};
}

inline float mix(float a, float b, float share) {
  return a + (b - a) * share;
}
/// 0 below low, 1 above high, smooth in between.
inline float smooth_step(float low, float high, float value) {
  const float t = std::clamp((value - low) / (high - low), 0.0f, 1.0f);
  return t * t * (3 - 2 * t);
}

/// One picture's random numbers, drawn one after the other, beginning with element `first`.
class Dice {
 public:
  explicit Dice(RandomKey key, uint64_t first = 0) : key_(key), drawn_(first) {}
  float between(float low, float high) { return mix(low, high, uniform(key_, drawn_++)); }
  int below(int count) { return std::min(count - 1, static_cast<int>(between(0, count))); }
  bool chance(float probability) { return between(0, 1) < probability; }
  /// Between low and high, or between -high and -low.
  float either_sign(float low, float high) {
    const float size = between(low, high);
    return chance(0.5f) ? size : -size;
  }

 private:
  RandomKey key_;
  uint64_t drawn_;
};

/// Value noise: random numbers on a lattice, smoothly interpolated.
class Noise {
 public:
  explicit Noise(Dice& dice) {
    for (float& value : lattice_) value = dice.between(0, 1);
  }
  /// 0 to 1, with features of size 1.
  float at(Point p) const {
    const float x = std::floor(p.x), y = std::floor(p.y);
    const float s = smooth_step(0, 1, p.x - x), t = smooth_step(0, 1, p.y - y);
    const int i = static_cast<int>(x), j = static_cast<int>(y);
    return mix(mix(value(i, j), value(i + 1, j), s), mix(value(i, j + 1), value(i + 1, j + 1), s),
               t);
  }
  /// The sum of ever finer noise of half the strength each, 0 to 1.
  float fractal(Point p, int octaves) const {
    float sum = 0, strength = 0.5f, total = 0;
    for (; octaves > 0; --octaves, strength /= 2, p = 2.03f * p + Point{17.3f, 9.1f}) {
      sum += strength * at(p);
      total += strength;
    }
    return sum / total;
  }

 private:
  static constexpr int side = 64;
  float value(int i, int j) const { return lattice_[(j & (side - 1)) * side + (i & (side - 1))]; }
  std::array<float, side * side> lattice_;
};

}  // namespace fettle::drawing
