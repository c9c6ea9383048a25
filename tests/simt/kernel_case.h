// What the files of broken kernels share.
#pragma once

#include <memory>

#include "kernels/cu.h"
#include "tests/simt/broken_kernels.h"

namespace fettle {

/// Memory of the executor's GPU: `count` elements, zeros or unwritten.
template <class T>
inline std::shared_ptr<T> gpu_array(int64_t count, bool written = true) {
  void* p = nullptr;
  cudaMalloc(&p, static_cast<size_t>(count) * sizeof(T));
  if (written) cudaMemsetAsync(p, 0, static_cast<size_t>(count) * sizeof(T));
  return {static_cast<T*>(p), [](T* q) { cudaFree(q); }};
}

/// A tensor map and the memory behind it.
struct MapOf {
  TensorMap map;
  std::shared_ptr<float> memory;
};

/// Launches with fresh arrays: kernel(extra..., x?, y).
template <class K, class... A>
KernelCase on_arrays(const char* name, K kernel, simt::Kind kind, unsigned blocks, unsigned threads,
                     size_t dynamic_bytes, A... pointers) {
  return {name,
          [=] {
            launch(name, kernel, blocks, threads, dynamic_bytes, Cuda{}, [&](const auto& p) {
              using P = std::decay_t<decltype(p)>;
              if constexpr (std::is_arithmetic_v<P>) {
                return p;
              } else if constexpr (std::is_same_v<P, MapOf>) {
                return p.map;
              } else {
                return p.get();
              }
            }(pointers)...);
          },
          kind};
}

#define CASE(kernel, ...) on_arrays(#kernel, kernel, __VA_ARGS__)

}  // namespace fettle
