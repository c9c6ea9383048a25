#include <algorithm>
#include <cmath>

#include "engine/error.h"
#include "io/picture.h"

namespace fettle {
namespace {

// The pixels of one axis that an output pixel averages, and their weights, which sum to 1.
struct Taps {
  int first;
  std::vector<float> weights;
};

// A triangle around the output pixel's centre, which reaches one pixel of the coarser grid to
// either side. What lies beyond the border is left out.
std::vector<Taps> triangle_taps(int input, int output) {
  const double scale = static_cast<double>(input) / output, radius = std::max(scale, 1.0);
  std::vector<Taps> taps;
  for (int i = 0; i < output; ++i) {
    const double centre = (i + 0.5) * scale;
    const int first = std::max(0, static_cast<int>(std::floor(centre - radius)));
    const int end = std::min(input, static_cast<int>(std::ceil(centre + radius)));
    std::vector<float> weights;
    double sum = 0;
    for (int j = first; j < end; ++j) {
      const double weight = std::max(0.0, 1 - std::abs(j + 0.5 - centre) / radius);
      weights.push_back(static_cast<float>(weight));
      sum += weight;
    }
    for (float& weight : weights) weight /= static_cast<float>(sum);
    taps.push_back({first, std::move(weights)});
  }
  return taps;
}

// rows [H][row], averaged over H.
void average_rows(const Picture& picture, const Taps& taps, std::vector<float>& row) {
  std::fill(row.begin(), row.end(), 0.0f);
  const uint8_t* in = picture.pixels.data() + taps.first * row.size();
  for (const float weight : taps.weights) {
    for (size_t i = 0; i < row.size(); ++i) row[i] += weight * in[i];
    in += row.size();
  }
}

template <int channels>
uint8_t* average_columns(const std::vector<float>& row, const std::vector<Taps>& columns,
                         uint8_t* out) {
  for (const Taps& taps : columns) {
    float sum[channels] = {};
    const float* in = row.data() + taps.first * channels;
    for (const float weight : taps.weights)
      for (float& channel : sum) channel += weight * *in++;
    for (const float channel : sum) *out++ = static_cast<uint8_t>(channel + 0.5f);
  }
  return out;
}

}  // namespace

Picture resize(const Picture& picture, int height, int width) {
  if (picture.height == height && picture.width == width) return picture;
  require(height > 0 && width > 0, "a picture cannot be resized to ", height, " x ", width);
  require(picture.channels == 1 || picture.channels == 3, "a picture of ", picture.channels,
          " channels cannot be resized: it must have 1 or 3");
  Picture resized{height, width, picture.channels, {}};
  resized.pixels.resize(size_t{1} * height * width * picture.channels);
  const std::vector<Taps> columns = triangle_taps(picture.width, width);
  std::vector<float> row(size_t{1} * picture.width * picture.channels);
  uint8_t* out = resized.pixels.data();
  for (const Taps& taps : triangle_taps(picture.height, height)) {
    average_rows(picture, taps, row);
    out = picture.channels == 1 ? average_columns<1>(row, columns, out)
                                : average_columns<3>(row, columns, out);
  }
  return resized;
}

}  // namespace fettle
