#include <cstddef>
#include <vector>

#include "kernels/pool2d/pool2d.h"

namespace fettle {
namespace {

/// Calls f(y index, x indices of the window's pixels inside the picture, row by row).
template <class F>
void for_each_window(const Pool2dShape& s, const F& f) {
  for (int64_t n = 0; n < s.N; ++n)
    for (int64_t p = 0; p < s.P; ++p)
      for (int64_t q = 0; q < s.Q; ++q)
        for (int64_t c = 0; c < s.C; ++c) {
          std::vector<int64_t> pixels;
          for (int64_t r = 0; r < s.R; ++r)
            for (int64_t t = 0; t < s.S; ++t) {
              const int64_t h = p * s.stride_h - s.pad_top + r, w = q * s.stride_w - s.pad_left + t;
              if (h < 0 || h >= s.H || w < 0 || w >= s.W) continue;
              pixels.push_back(((n * s.H + h) * s.W + w) * s.C + c);
            }
          f(((n * s.P + p) * s.Q + q) * s.C + c, pixels);
        }
}

int64_t first_maximum(const float* x, const std::vector<int64_t>& pixels) {
  int64_t best = pixels[0];
  for (int64_t i : pixels) {
    if (x[i] > x[best]) best = i;
  }
  return best;
}

void narrow(const std::vector<double>& sums, float* out) {
  for (double sum : sums) *out++ = static_cast<float>(sum);
}

}  // namespace

void max_pool2d_forward(Reference, const Pool2dShape& s, const float* x, float* y) {
  for_each_window(s, [&](int64_t i, const auto& pixels) { y[i] = x[first_maximum(x, pixels)]; });
}

void max_pool2d_backward(Reference, const Pool2dShape& s, const float* x, const float* dy,
                         float* dx) {
  std::vector<double> sums(static_cast<std::size_t>(s.N * s.H * s.W * s.C));
  for_each_window(s,
                  [&](int64_t i, const auto& pixels) { sums[first_maximum(x, pixels)] += dy[i]; });
  narrow(sums, dx);
}

void average_pool2d_forward(Reference, const Pool2dShape& s, const float* x, float* y) {
  for_each_window(s, [&](int64_t i, const auto& pixels) {
    double sum = 0;
    for (int64_t pixel : pixels) sum += x[pixel];
    y[i] = static_cast<float>(sum / static_cast<double>(pixels.size()));
  });
}

void average_pool2d_backward(Reference, const Pool2dShape& s, const float* dy, float* dx) {
  std::vector<double> sums(static_cast<std::size_t>(s.N * s.H * s.W * s.C));
  for_each_window(s, [&](int64_t i, const auto& pixels) {
    for (int64_t pixel : pixels) sums[pixel] += dy[i] / static_cast<double>(pixels.size());
  });
  narrow(sums, dx);
}

}  // namespace fettle
