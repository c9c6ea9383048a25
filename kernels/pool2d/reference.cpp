#include <cstddef>
#include <cstring>
#include <vector>

#include "kernels/pool2d/pool2d.h"

namespace fettle {
namespace {

/// A pixel of a window that lies inside the picture.
struct Pixel {
  int64_t x;      ///< its index there
  int32_t place;  ///< r * S + s
};

/// Calls f(y index, the window's pixels, row by row).
template <class F>
void for_each_window(const Pool2dShape& s, const F& f) {
  for (int64_t n = 0; n < s.N; ++n)
    for (int64_t p = 0; p < s.P; ++p)
      for (int64_t q = 0; q < s.Q; ++q)
        for (int64_t c = 0; c < s.C; ++c) {
          std::vector<Pixel> pixels;
          for (int64_t r = 0; r < s.R; ++r)
            for (int64_t t = 0; t < s.S; ++t) {
              const int64_t h = p * s.stride_h - s.pad_top + r, w = q * s.stride_w - s.pad_left + t;
              if (h < 0 || h >= s.H || w < 0 || w >= s.W) continue;
              pixels.push_back(
                  {((n * s.H + h) * s.W + w) * s.C + c, static_cast<int32_t>(r * s.S + t)});
            }
          f(((n * s.P + p) * s.Q + q) * s.C + c, pixels);
        }
}

Pixel first_maximum(const float* x, const std::vector<Pixel>& pixels) {
  Pixel best = pixels[0];
  for (const Pixel& pixel : pixels) {
    if (x[pixel.x] > x[best.x]) best = pixel;
  }
  return best;
}

void write_place(const Pool2dShape& s, int64_t i, int32_t place, uint8_t* places) {
  if (bytes_a_place(s) == 1) {
    places[i] = static_cast<uint8_t>(place);
  } else {
    std::memcpy(places + 4 * i, &place, 4);
  }
}
int32_t read_place(const Pool2dShape& s, int64_t i, const uint8_t* places) {
  int32_t place = places[i];
  if (bytes_a_place(s) == 4) std::memcpy(&place, places + 4 * i, 4);
  return place;
}

void narrow(const std::vector<double>& sums, float* out) {
  for (double sum : sums) *out++ = static_cast<float>(sum);
}

}  // namespace

void max_pool2d_forward(Reference, const Pool2dShape& s, const float* x, float* y) {
  for_each_window(s, [&](int64_t i, const auto& pixels) { y[i] = x[first_maximum(x, pixels).x]; });
}

void max_pool2d_forward(Reference, const Pool2dShape& s, const float* x, float* y,
                        uint8_t* places) {
  for_each_window(s, [&](int64_t i, const auto& pixels) {
    const Pixel best = first_maximum(x, pixels);
    y[i] = x[best.x];
    write_place(s, i, best.place, places);
  });
}

void max_pool2d_backward(Reference, const Pool2dShape& s, const uint8_t* places, const float* dy,
                         float* dx, bool adds) {
  std::vector<double> sums(static_cast<std::size_t>(s.N * s.H * s.W * s.C));
  if (adds) sums.assign(dx, dx + sums.size());
  for_each_window(s, [&](int64_t i, const auto& pixels) {
    for (const Pixel& pixel : pixels)
      if (pixel.place == read_place(s, i, places)) sums[pixel.x] += dy[i];
  });
  narrow(sums, dx);
}

void average_pool2d_forward(Reference, const Pool2dShape& s, const float* x, float* y) {
  for_each_window(s, [&](int64_t i, const auto& pixels) {
    double sum = 0;
    for (const Pixel& pixel : pixels) sum += x[pixel.x];
    y[i] = static_cast<float>(sum / static_cast<double>(pixels.size()));
  });
}

void average_pool2d_backward(Reference, const Pool2dShape& s, const float* dy, float* dx) {
  std::vector<double> sums(static_cast<std::size_t>(s.N * s.H * s.W * s.C));
  for_each_window(s, [&](int64_t i, const auto& pixels) {
    for (const Pixel& pixel : pixels) sums[pixel.x] += dy[i] / static_cast<double>(pixels.size());
  });
  narrow(sums, dx);
}

}  // namespace fettle
