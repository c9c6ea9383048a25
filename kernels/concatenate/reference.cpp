#include "kernels/concatenate/concatenate.h"

namespace fettle {

void copy_columns(Reference, int64_t rows, int64_t width, const float* from, int64_t from_width,
                  float* to, int64_t to_width) {
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t k = 0; k < width; ++k) to[i * to_width + k] = from[i * from_width + k];
  }
}

}  // namespace fettle
