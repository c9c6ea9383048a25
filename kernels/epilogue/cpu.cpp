#include "kernels/epilogue/epilogue.h"

#include <algorithm>

#include "kernels/divide.h"
#include "kernels/parallel.h"
#include "kernels/scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/epilogue/cpu.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace fettle {
namespace HWY_NAMESPACE {
namespace {

/// sums [K] over a few rows; fp32 over at most chunk_rows rows loses nothing that matters.
void backward_rows(int64_t rows, int64_t K, bool relu, const float* dy, const float* y, float* dz,
                   float* sums) {
  std::fill_n(sums, K, 0.0f);
  for (int64_t i = 0; i < rows; ++i, dy += K) {
    if (relu) {
      for (int64_t k = 0; k < K; ++k) {
        const float gradient = y[k] > 0.0f ? dy[k] : 0.0f;
        dz[k] = gradient;
        sums[k] += gradient;
      }
      y += K;
      dz += K;
    } else {
      for (int64_t k = 0; k < K; ++k) sums[k] += dy[k];
      if (dz) dz = std::copy_n(dy, K, dz);
    }
  }
}

void forward_rows(int64_t rows, int64_t K, bool relu, const float* z, const float* bias, float* y) {
  for (int64_t i = 0; i < rows; ++i, z += K, y += K) {
    for (int64_t k = 0; k < K; ++k) {
      const float sum = z[k] + bias[k];
      y[k] = relu && sum < 0.0f ? 0.0f : sum;
    }
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace fettle
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fettle {

HWY_EXPORT(backward_rows);
HWY_EXPORT(forward_rows);

void epilogue_forward(Cpu, int64_t rows, int64_t K, Epilogue epilogue, const float* z,
                      const float* bias, float* y) {
  const auto forward = HWY_DYNAMIC_DISPATCH(forward_rows);
  parallel_for(rows, std::max<int64_t>(1, 16384 / K), [&](int64_t begin, int64_t end) {
    forward(end - begin, K, epilogue == Epilogue::relu, z + begin * K, bias, y + begin * K);
  });
}

void epilogue_backward(Cpu, int64_t rows, int64_t K, Epilogue epilogue, const float* dy,
                       const float* y, float* dz, float* dbias) {
  const int64_t chunk = std::max<int64_t>(1, 16384 / K);  // rows a task: 64 KiB an array
  const int64_t chunks = ceil_div(rows, chunk);
  thread_local Scratch scratch;
  float* sums = scratch.floats(std::max<int64_t>(1, chunks) * K);
  const auto backward = HWY_DYNAMIC_DISPATCH(backward_rows);
  parallel_tasks(chunks, [&](int64_t i) {
    const int64_t at = i * chunk * K;
    backward(std::min(chunk, rows - i * chunk), K, epilogue == Epilogue::relu, dy + at,
             y ? y + at : nullptr, dz ? dz + at : nullptr, sums + i * K);
  });
  for (int64_t k = 0; dbias && k < K; ++k) {
    double total = 0.0;
    for (int64_t i = 0; i < chunks; ++i) total += sums[i * K + k];
    dbias[k] = static_cast<float>(total);
  }
}

}  // namespace fettle
#endif  // HWY_ONCE
