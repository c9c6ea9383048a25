#include "kernels/concatenate/concatenate.h"
#include "kernels/cu.h"

namespace fettle {
namespace {

/// One thread: V neighbouring columns of one row at a time. Bytes an element: 4 to read, 4 to
/// write; limited by memory bandwidth.
template <int V>
__global__ void __launch_bounds__(256)
    copy_columns_kernel(int64_t vectors, int64_t width, const float* __restrict__ from,
                        int64_t from_width, float* __restrict__ to, int64_t to_width) {
  const int64_t across = width / V;
  for (int64_t i = strided_first(); i < vectors; i += strided_step()) {
    const int64_t row = i / across, column = i % across * V;
    store_vec(to + row * to_width + column, load_vec<V>(from + row * from_width + column));
  }
}

}  // namespace

void copy_columns(Cuda device, int64_t rows, int64_t width, const float* from, int64_t from_width,
                  float* to, int64_t to_width) {
  const auto in_fours = [](const float* p, int64_t n) {
    return reinterpret_cast<uintptr_t>(p) % 16 == 0 && n % 4 == 0;
  };
  const bool fours = in_fours(from, from_width) && in_fours(to, to_width) && width % 4 == 0;
  const int64_t vectors = rows * width / (fours ? 4 : 1);
  launch("copy_columns", fours ? copy_columns_kernel<4> : copy_columns_kernel<1>,
         strided_blocks(vectors, 256), 256, 0, device, vectors, width, from, from_width, to,
         to_width);
}

}  // namespace fettle
