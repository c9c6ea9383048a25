#include "kernels/concatenate/concatenate.h"
#include "kernels/cu.h"

namespace fettle {
namespace {

/// One thread: V neighbouring columns of one row at a time. Each element is read and written once;
/// limited by memory bandwidth.
template <int V, class T>
__global__ void __launch_bounds__(256)
    copy_columns_kernel(int64_t vectors, int64_t width, const T* __restrict__ from,
                        int64_t from_width, T* __restrict__ to, int64_t to_width) {
  wait_for_kernels_before();
  const int64_t across = width / V;
  for (int64_t i = strided_first(); i < vectors; i += strided_step()) {
    const int64_t row = i / across, column = i % across * V;
    store_vec(to + row * to_width + column, load_vec<V>(from + row * from_width + column));
  }
}

}  // namespace

template <class T>
void copy_columns(Cuda device, int64_t rows, int64_t width, const T* from, int64_t from_width,
                  T* to, int64_t to_width) {
  constexpr int V = in_16_bytes<T>;
  const bool vectors =
      in_vectors(from, to) && width % V == 0 && from_width % V == 0 && to_width % V == 0;
  const int64_t count = rows * width / (vectors ? V : 1);
  launch("copy_columns", vectors ? copy_columns_kernel<V, T> : copy_columns_kernel<1, T>,
         strided_blocks(count, 256), 256, 0, device, count, width, from, from_width, to, to_width);
}
template void copy_columns(Cuda, int64_t, int64_t, const float*, int64_t, float*, int64_t);
template void copy_columns(Cuda, int64_t, int64_t, const bf16*, int64_t, bf16*, int64_t);

}  // namespace fettle
