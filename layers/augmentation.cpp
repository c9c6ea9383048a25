#include "layers/augmentation.h"

#include <array>
#include <cmath>

#include "engine/cuda_graph.h"
#include "engine/ops/augment.h"
#include "engine/random.h"
#include "kernels/recycling.h"

namespace fettle {
namespace {

/// Draw `which` of `of` for picture n, in [-1, 1).
float draw(RandomKey key, int64_t n, int64_t which = 0, int64_t of = 1) {
  return 2.0f * uniform(key, static_cast<uint64_t>(n * of + which)) - 1.0f;
}

/// base + factor * draw for each picture, [N].
Tensor draws(const Tensor& x, float base, float factor) {
  return host_made<float>({x.shape()[0]}, x.device(),
                          [=, N = x.shape()[0], drawn = next_random_key()] {
                            const RandomKey key = in_this_step(drawn);
                            RecycledVector<float> values;
                            for (int64_t n = 0; n < N; ++n)
                              values.push_back(base + factor * draw(key, n));
                            return values;
                          });
}

using Transform = std::array<float, 6>;

/// transform_of(key, n) for each picture, [N,6].
template <class F>
Tensor transforms(const Tensor& x, const F& transform_of) {
  return host_made<float>({x.shape()[0], 6}, x.device(),
                          [=, N = x.shape()[0], drawn = next_random_key()] {
                            const RandomKey key = in_this_step(drawn);
                            RecycledVector<float> values;
                            for (int64_t n = 0; n < N; ++n) {
                              const Transform t = transform_of(key, n);
                              values.insert(values.end(), t.begin(), t.end());
                            }
                            return values;
                          });
}

/// One geometry for both.
void move_pixels(Tensor& x, Tensor* masks, const Tensor& transforms, Interpolation interpolation) {
  x = affine_transform(x, transforms, interpolation);
  if (masks) *masks = affine_transform(*masks, transforms, Interpolation::nearest);
}

/// Index of the last row or column: twice the centre.
float last(const Tensor& x, int axis) {
  return static_cast<float>(x.shape()[axis] - 1);
}

}  // namespace

Tensor RandomLayer::call(const Tensor& x) {
  Tensor y = x;
  if (is_training()) apply(y, nullptr);
  return y;
}

void Augmentation::members(Members& members) {
  for (const auto& layer : layers_) members.layer(*layer);
}

void Augmentation::apply(Tensor& x, Tensor* masks) {
  for (const auto& layer : layers_) layer->apply(x, masks);
}

void RandomFlip::apply(Tensor& x, Tensor* masks) {
  const auto flip = [mode = mode_, w = last(x, 2), h = last(x, 1)](RandomKey key,
                                                                   int64_t n) -> Transform {
    const bool sideways = mode != FlipMode::vertical && draw(key, n, 0, 2) <= 0;
    const bool upside_down = mode != FlipMode::horizontal && draw(key, n, 1, 2) <= 0;
    return {sideways ? -1.0f : 1.0f, 0, sideways ? w : 0.0f, 0, upside_down ? -1.0f : 1.0f,
            upside_down ? h : 0.0f};
  };
  move_pixels(x, masks, transforms(x, flip), Interpolation::nearest);
}

void RandomRotation::apply(Tensor& x, Tensor* masks) {
  constexpr float full_turn = 6.283185307179586f;
  const auto turn = [most = full_turn * factor_, w = last(x, 2), h = last(x, 1)](
                        RandomKey key, int64_t n) -> Transform {
    const float angle = most * draw(key, n);
    const float c = std::cos(angle), s = std::sin(angle);
    return {c, -s, (w - (c * w - s * h)) / 2, s, c, (h - (s * w + c * h)) / 2};
  };
  move_pixels(x, masks, transforms(x, turn), Interpolation::bilinear);
}

void RandomZoom::apply(Tensor& x, Tensor* masks) {
  const auto zoom = [height = height_factor_, width = width_factor_, w = last(x, 2),
                     h = last(x, 1)](RandomKey key, int64_t n) -> Transform {
    const float down = 1 + height * draw(key, n, 0, 2);
    const float across = width < 0 ? down : 1 + width * draw(key, n, 1, 2);
    return {across, 0, w / 2 * (1 - across), 0, down, h / 2 * (1 - down)};
  };
  move_pixels(x, masks, transforms(x, zoom), Interpolation::bilinear);
}

void RandomContrast::apply(Tensor& x, Tensor*) {
  x = adjust_contrast(x, draws(x, 1, factor_));
}

void RandomBrightness::apply(Tensor& x, Tensor*) {
  x = adjust_brightness(x, draws(x, 0, 255 * factor_), 0, 255);
}

}  // namespace fettle
