#include "kernels/parallel.h"
#include "kernels/softmax/rows.h"
#include "kernels/softmax/softmax.h"

namespace fettle {
namespace {
constexpr int64_t rows_per_task = 256;
}  // namespace

void softmax_forward(Cpu, int64_t N, int64_t K, const float* x, float* y) {
  parallel_for(N, rows_per_task, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) softmax_row<float>(K, x + n * K, y + n * K);
  });
}

void softmax_backward(Cpu, int64_t N, int64_t K, const float* y, const float* dy, float* dx) {
  parallel_for(N, rows_per_task, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      softmax_row_backward<float>(K, y + n * K, dy + n * K, dx + n * K);
    }
  });
}

}  // namespace fettle
