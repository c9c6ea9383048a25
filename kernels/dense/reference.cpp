#include "kernels/dense/dense.h"

#include <algorithm>

namespace fettle {

void dense_forward(Reference, const DenseShape& s, const float* x, const float* w,
                   const float* bias, Epilogue epilogue, float* y) {
  for (int64_t n = 0; n < s.N; ++n) {
    for (int64_t k = 0; k < s.K; ++k) {
      double sum = bias ? bias[k] : 0.0;
      for (int64_t c = 0; c < s.C; ++c) sum += static_cast<double>(x[n * s.C + c]) * w[k * s.C + c];
      if (epilogue == Epilogue::relu) sum = std::max(sum, 0.0);
      y[n * s.K + k] = static_cast<float>(sum);
    }
  }
}

void dense_backward_input(Reference, const DenseShape& s, const float* dy, const float* w,
                          float* dx) {
  for (int64_t n = 0; n < s.N; ++n) {
    for (int64_t c = 0; c < s.C; ++c) {
      double sum = 0.0;
      for (int64_t k = 0; k < s.K; ++k)
        sum += static_cast<double>(dy[n * s.K + k]) * w[k * s.C + c];
      dx[n * s.C + c] = static_cast<float>(sum);
    }
  }
}

void dense_backward_weight(Reference, const DenseShape& s, const float* dy, const float* x,
                           float* dw) {
  for (int64_t k = 0; k < s.K; ++k) {
    for (int64_t c = 0; c < s.C; ++c) {
      double sum = 0.0;
      for (int64_t n = 0; n < s.N; ++n)
        sum += static_cast<double>(dy[n * s.K + k]) * x[n * s.C + c];
      dw[k * s.C + c] = static_cast<float>(sum);
    }
  }
}

}  // namespace fettle
