#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/upsample2d/upsample2d.h"

namespace fettle {
namespace {

/// Calls f(y index, x index, weight) for every pair that is not zero by definition.
template <class F>
void for_each_pair(const Upsample2dShape& s, Upsampling how, const F& f) {
  const int64_t P = s.H * s.factor_h, Q = s.W * s.factor_w;
  const auto weight = [&](int64_t out, int64_t in, int64_t factor, int64_t n) {
    if (how == Upsampling::nearest) return out / factor == in ? 1.0 : 0.0;
    const double at =
        std::clamp((static_cast<double>(out) + 0.5) / static_cast<double>(factor) - 0.5, 0.0,
                   static_cast<double>(n - 1));
    return std::max(0.0, 1.0 - std::abs(at - static_cast<double>(in)));
  };
  for (int64_t n = 0; n < s.N; ++n)
    for (int64_t p = 0; p < P; ++p)
      for (int64_t q = 0; q < Q; ++q)
        for (int64_t h = 0; h < s.H; ++h)
          for (int64_t w = 0; w < s.W; ++w) {
            const double both = weight(p, h, s.factor_h, s.H) * weight(q, w, s.factor_w, s.W);
            for (int64_t c = 0; c < s.C; ++c)
              f(((n * P + p) * Q + q) * s.y_pixel() + c, ((n * s.H + h) * s.W + w) * s.C + c, both);
          }
}

}  // namespace

void upsample2d_forward(Reference, const Upsample2dShape& s, Upsampling how, const float* x,
                        float* y) {
  const int64_t pixels = s.N * s.H * s.factor_h * s.W * s.factor_w;
  std::vector<double> sums(static_cast<size_t>(pixels * s.y_pixel()));
  for_each_pair(s, how, [&](int64_t iy, int64_t ix, double w) { sums[iy] += w * x[ix]; });
  for (int64_t pixel = 0; pixel < pixels; ++pixel)
    for (int64_t i = pixel * s.y_pixel(); i < pixel * s.y_pixel() + s.C; ++i)
      y[i] = static_cast<float>(sums[i]);
}

void upsample2d_backward(Reference, const Upsample2dShape& s, Upsampling how, const float* dy,
                         float* dx) {
  std::vector<double> sums(static_cast<size_t>(s.N * s.H * s.W * s.C));
  for_each_pair(s, how, [&](int64_t iy, int64_t ix, double w) { sums[ix] += w * dy[iy]; });
  for (double sum : sums) *dx++ = static_cast<float>(sum);
}

}  // namespace fettle
