#include <vector>

#include "kernels/epilogue/epilogue.h"

namespace fettle {

void epilogue_forward(Reference, int64_t rows, int64_t K, Epilogue epilogue, const float* z,
                      const float* bias, float* y) {
  for (int64_t i = 0; i < rows * K; ++i) {
    const double sum = double{z[i]} + bias[i % K];
    y[i] = static_cast<float>(epilogue == Epilogue::relu && sum < 0 ? 0.0 : sum);
  }
}

void epilogue_backward(Reference, int64_t rows, int64_t K, Epilogue epilogue, const float* dy,
                       const float* y, float* dz, float* dbias) {
  std::vector<double> sums(static_cast<size_t>(K));
  for (int64_t i = 0; i < rows * K; ++i) {
    const float gradient = epilogue == Epilogue::linear || y[i] > 0.0f ? dy[i] : 0.0f;
    if (dz) dz[i] = gradient;
    sums[i % K] += gradient;
  }
  for (int64_t k = 0; dbias && k < K; ++k) dbias[k] = static_cast<float>(sums[k]);
}

}  // namespace fettle
