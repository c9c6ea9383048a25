#include "kernels/channel_loop.cuh"
#include "kernels/column_sums.cuh"
#include "kernels/elementwise_loop.cuh"
#include "kernels/epilogue/epilogue.h"

namespace fettle {
namespace {

__device__ __forceinline__ float through(Epilogue epilogue, float dy, float y) {
  return epilogue == Epilogue::linear || y > 0.0f ? dy : 0.0f;
}

struct Forward {
  Epilogue epilogue;
  const float *z, *bias;
  float* y;

  template <int V>
  __device__ Vec<float, V> columns(int k) const {
    Vec<float, V> mine;
    for (int i = 0; i < V; ++i) mine[i] = bias[k + i];
    return mine;
  }
  template <int V>
  __device__ void at(int64_t i, const Vec<float, V>& mine) const {
    auto value = load_vec<V>(z + i);
    for (int k = 0; k < V; ++k) {
      value[k] += mine[k];
      if (epilogue == Epilogue::relu && value[k] < 0) value[k] = 0;
    }
    store_vec(y + i, value);
  }
};

/// Of the reduction for dbias, which writes dz on its way.
struct GradientOfSum {
  Epilogue epilogue;
  int64_t K;
  const float *dy, *y;
  float* dz;
  __device__ void operator()(int64_t, int64_t row, int column, float (&values)[1]) const {
    const int64_t i = row * K + column;
    values[0] = through(epilogue, dy[i], epilogue == Epilogue::linear ? 0.0f : y[i]);
    if (dz) dz[i] = values[0];
  }
};
struct WriteBias {
  float* dbias;
  __device__ void operator()(int64_t, int column, const double (&sums)[1]) const {
    dbias[column] = static_cast<float>(sums[0]);
  }
};

/// dz alone.
struct GradientOnly {
  Epilogue epilogue;
  __device__ float operator()(float dy, float y) const { return through(epilogue, dy, y); }
};

}  // namespace

void epilogue_forward(Cuda device, int64_t rows, int64_t K, Epilogue epilogue, const float* z,
                      const float* bias, float* y) {
  channel_loop("epilogue_forward", device, rows, K, Forward{epilogue, z, bias, y}, z, y);
}

void epilogue_backward(Cuda device, int64_t rows, int64_t K, Epilogue epilogue, const float* dy,
                       const float* y, float* dz, float* dbias) {
  if (dbias) {
    column_sums<1>("epilogue_backward", device, {.rows = rows, .columns = static_cast<int>(K)},
                   GradientOfSum{epilogue, K, dy, y, dz}, WriteBias{dbias});
  } else if (dz) {
    // A linear epilogue does not look at y, which may be missing.
    map("epilogue_backward", device, rows * K, GradientOnly{epilogue}, dy,
        epilogue == Epilogue::linear ? dy : y, dz);
  }
}

}  // namespace fettle
