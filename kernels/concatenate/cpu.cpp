#include <algorithm>

#include "kernels/concatenate/concatenate.h"
#include "kernels/parallel.h"

namespace fettle {

void copy_columns(Cpu, int64_t rows, int64_t width, const float* from, int64_t from_width,
                  float* to, int64_t to_width) {
  const int64_t grain = std::max<int64_t>(1, (1 << 15) / std::max<int64_t>(1, width));
  parallel_for(rows, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      std::copy_n(from + i * from_width, width, to + i * to_width);
    }
  });
}

}  // namespace fettle
