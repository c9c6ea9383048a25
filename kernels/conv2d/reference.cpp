// The definition, written out. Sums are formed in double precision.
#include <algorithm>
#include <vector>

#include "kernels/conv2d/conv2d.h"

namespace fettle {
namespace {

/// Calls f(y index, x index, w index) for every product in the sum.
template <class F>
void for_each_product(const Conv2dShape& s, F&& f) {
  const int64_t Cg = s.C / s.groups, Kg = s.K / s.groups;
  for (int64_t n = 0; n < s.N; ++n)
    for (int64_t p = 0; p < s.P; ++p)
      for (int64_t q = 0; q < s.Q; ++q)
        for (int64_t k = 0; k < s.K; ++k)
          for (int64_t r = 0; r < s.R; ++r)
            for (int64_t t = 0; t < s.S; ++t) {
              const int64_t h = p * s.stride_h + r * s.dilation_h - s.pad_top;
              const int64_t w = q * s.stride_w + t * s.dilation_w - s.pad_left;
              if (h < 0 || h >= s.H || w < 0 || w >= s.W) continue;
              for (int64_t c = 0; c < Cg; ++c) {
                f(((n * s.P + p) * s.Q + q) * s.K + k,
                  ((n * s.H + h) * s.W + w) * s.C + k / Kg * Cg + c,
                  ((k * s.R + r) * s.S + t) * Cg + c);
              }
            }
}

void narrow(const std::vector<double>& sums, float* out) {
  std::transform(sums.begin(), sums.end(), out, [](double v) { return static_cast<float>(v); });
}

}  // namespace

void conv2d_forward(Reference, const Conv2dShape& s, const float* x, const float* w,
                    const float* bias, Epilogue epilogue, float* y, const float* addend) {
  std::vector<double> sums(static_cast<size_t>(s.N * s.P * s.Q * s.K));
  for (size_t i = 0; i < sums.size(); ++i)
    sums[i] = (bias ? bias[i % s.K] : 0.0) + (addend ? addend[i] : 0.0);
  for_each_product(s, [&](int64_t iy, int64_t ix, int64_t iw) {
    sums[iy] += static_cast<double>(x[ix]) * w[iw];
  });
  if (epilogue == Epilogue::relu)
    for (double& v : sums) v = std::max(v, 0.0);
  narrow(sums, y);
}

void conv2d_backward_input(Reference, const Conv2dShape& s, const float* dy, const float* w,
                           float* dx, const float* addend) {
  std::vector<double> sums(static_cast<size_t>(s.N * s.H * s.W * s.C));
  for (size_t i = 0; addend && i < sums.size(); ++i) sums[i] = addend[i];
  for_each_product(s, [&](int64_t iy, int64_t ix, int64_t iw) {
    sums[ix] += static_cast<double>(dy[iy]) * w[iw];
  });
  narrow(sums, dx);
}

void conv2d_backward_weight(Reference, const Conv2dShape& s, const float* dy, const float* x,
                            float* dw) {
  std::vector<double> sums(static_cast<size_t>(s.K * s.R * s.S * (s.C / s.groups)));
  for_each_product(s, [&](int64_t iy, int64_t ix, int64_t iw) {
    sums[iw] += static_cast<double>(dy[iy]) * x[ix];
  });
  narrow(sums, dw);
}

}  // namespace fettle
