#include <cmath>

#include "kernels/row_loop.cuh"
#include "kernels/softmax/softmax.h"

namespace fettle {
namespace {

constexpr float lowest = -3.402823466e38f;

struct Forward {
  int64_t K;
  const float* x;
  float* y;

  template <class Row>
  __device__ void row(int64_t n) const {
    const Row row(x + n * K, K);
    float highest = lowest, total = 0;
    row.each([&](int64_t, float value) { highest = std::fmax(highest, value); });
    highest = row.max(highest);
    row.each([&](int64_t, float value) { total += std::exp(value - highest); });
    const float scale = 1 / row.sum(total);
    row.store(y + n * K, [&](int64_t, float value) { return std::exp(value - highest) * scale; });
  }
};

struct Backward {
  int64_t K;
  const float *y, *dy;
  float* dx;

  template <class Row>
  __device__ void row(int64_t n) const {
    const Row out(y + n * K, K), gradient(dy + n * K, K);
    float dot = 0;
    out.each([&](int64_t, float p, float dp) { dot += p * dp; }, gradient);
    dot = out.sum(dot);
    out.store(
        dx + n * K, [&](int64_t, float p, float dp) { return p * (dp - dot); }, gradient);
  }
};

}  // namespace

void softmax_forward(Cuda device, int64_t N, int64_t K, const float* x, float* y) {
  row_loop("softmax_forward", device, N, K, Forward{K, x, y}, x, y);
}

void softmax_backward(Cuda device, int64_t N, int64_t K, const float* y, const float* dy,
                      float* dx) {
  row_loop("softmax_backward", device, N, K, Backward{K, y, dy, dx}, y, dy, dx);
}

}  // namespace fettle
