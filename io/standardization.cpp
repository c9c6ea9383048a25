#include <cmath>

#include "io/picture.h"

namespace fettle {

Scaling standardization(const Picture& picture) {
  int64_t sum = 0, squares = 0;
  for (const uint8_t pixel : picture.pixels) {
    sum += pixel;
    squares += pixel * pixel;
  }
  const auto count = static_cast<double>(picture.pixels.size());
  const double mean = static_cast<double>(sum) / count;
  const double variance = static_cast<double>(squares) / count - mean * mean;
  return {static_cast<float>(mean),
          variance > 0 ? static_cast<float>(1 / std::sqrt(variance)) : 1.0f};
}

}  // namespace fettle
