#include "kernels/channel_loop.cuh"
#include "kernels/column_sums.cuh"
#include "kernels/elementwise_loop.cuh"
#include "kernels/epilogue/epilogue.h"

namespace fettle {
namespace {

__device__ __forceinline__ float through(Epilogue epilogue, float dy, float y) {
  return epilogue == Epilogue::linear || y > 0.0f ? dy : 0.0f;
}

template <class T>
struct Forward {
  Epilogue epilogue;
  const T* z;
  const float* bias;
  T* y;

  template <int V>
  __device__ Vec<float, V> columns(int k) const {
    Vec<float, V> mine;
    for (int i = 0; i < V; ++i) mine[i] = bias[k + i];
    return mine;
  }
  template <int V>
  __device__ Vec<float, V> load(int64_t i) const {
    return load_floats<V>(z + i);
  }
  template <int V>
  __device__ void at(int64_t i, Vec<float, V> value, const Vec<float, V>& mine) const {
    for (int k = 0; k < V; ++k) {
      value[k] += mine[k];
      if (epilogue == Epilogue::relu && value[k] < 0) value[k] = 0;
    }
    store_floats(y + i, value);
  }
};

/// The reduction for dbias, which writes dz on its way.
template <class T>
struct BiasGradient {
  Epilogue epilogue;
  const T *dy, *y;
  T* dz;
  float* dbias;

  template <int V>
  __device__ void at(int64_t i, NoNumbers, Vec<float, V> (&values)[1]) const {
    values[0] = load_floats<V>(dy + i);
    if (epilogue != Epilogue::linear) {
      const auto out = load_floats<V>(y + i);
      for (int k = 0; k < V; ++k) values[0][k] = through(epilogue, values[0][k], out[k]);
    }
    if (dz) store_floats(dz + i, values[0]);
  }
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

template <class T>
void epilogue_forward(Cuda device, int64_t rows, int64_t K, Epilogue epilogue, const T* z,
                      const float* bias, T* y) {
  channel_loop("epilogue_forward", device, rows, K, Forward<T>{epilogue, z, bias, y}, z, y);
}

template <class T>
void epilogue_backward(Cuda device, int64_t rows, int64_t K, Epilogue epilogue, const T* dy,
                       const T* y, T* dz, float* dbias) {
  if (dbias) {
    const BiasGradient<T> gradient = {epilogue, dy, y, dz, dbias};
    column_sums<1>("epilogue_backward", device, {.rows = rows, .columns = static_cast<int>(K)},
                   gradient, gradient, dy, epilogue == Epilogue::linear ? dy : y, dz);
  } else if (dz) {
    // A linear epilogue does not look at y, which may be missing.
    map("epilogue_backward", device, rows * K, GradientOnly{epilogue}, dy,
        epilogue == Epilogue::linear ? dy : y, dz);
  }
}

#define FETTLE_EPILOGUE(T)                                                                      \
  template void epilogue_forward(Cuda, int64_t, int64_t, Epilogue, const T*, const float*, T*); \
  template void epilogue_backward(Cuda, int64_t, int64_t, Epilogue, const T*, const T*, T*, float*)
FETTLE_EPILOGUE(float);
FETTLE_EPILOGUE(bf16);
#undef FETTLE_EPILOGUE

}  // namespace fettle
