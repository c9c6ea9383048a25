#include "layers/initializers.h"

#include <cmath>
#include <utility>

#include "engine/random.h"
#include "kernels/parallel.h"

namespace fettle {
namespace {

thread_local bool nothing_drawn = false;

struct Fans {
  double in, out;
};

Fans fans_of(const Shape& shape) {
  const double inputs = static_cast<double>(shape[-1]), outputs = static_cast<double>(shape[0]);
  const double field = static_cast<double>(shape.size()) / (inputs * outputs);
  return {inputs * field, outputs * field};
}

/// A standard normal draw cut at two deviations: of the tries of one element, the first inside.
double truncated_normal(RandomKey key, uint64_t element) {
  constexpr double pi = 3.14159265358979323846;
  for (uint64_t attempt = 0;; ++attempt) {
    const Philox4 words = philox4x32(key, (attempt << 48) + element);
    // Box and Muller, 1958; 1 - u avoids the logarithm of zero.
    const double radius = std::sqrt(-2.0 * std::log(1.0 - unit_float(words.v[0])));
    const double normal = radius * std::cos(2.0 * pi * unit_float(words.v[1]));
    if (std::abs(normal) <= 2.0) return normal;
  }
}

/// A tensor whose element i is draw(i).
template <class Draw>
Tensor drawn(const Shape& shape, const Draw& draw) {
  Tensor t = Tensor::empty(shape);
  if (nothing_drawn) return t;
  float* values = t.data();
  parallel_for(t.size(), 1 << 14, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) values[i] = static_cast<float>(draw(i));
  });
  return t;
}

}  // namespace

Tensor initial(Initializer initializer, const Shape& shape) {
  if (initializer == Initializer::zeros) return Tensor::zeros(shape);
  if (initializer == Initializer::ones) return Tensor::full(shape, 1.0f);
  const RandomKey key = next_random_key();
  const Fans fans = fans_of(shape);
  if (initializer == Initializer::glorot_uniform) {
    const double limit = std::sqrt(6.0 / (fans.in + fans.out));
    return drawn(shape, [=](int64_t i) {
      return limit * (2.0 * uniform(key, static_cast<uint64_t>(i)) - 1.0);
    });
  }
  constexpr double deviation_after_cut = 0.8796256610342398;
  const double deviation = std::sqrt(2.0 / fans.in) / deviation_after_cut;
  return drawn(shape, [=](int64_t i) {
    return deviation * truncated_normal(key, static_cast<uint64_t>(i));
  });
}

NothingDrawn::NothingDrawn() : before_(std::exchange(nothing_drawn, true)) {}
NothingDrawn::~NothingDrawn() {
  nothing_drawn = before_;
}

Tensor parameter(Initializer initializer, const Shape& shape, bool trainable) {
  Tensor t = initial(initializer, shape);
  t.set_requires_grad(trainable);
  return t;
}

}  // namespace fettle
