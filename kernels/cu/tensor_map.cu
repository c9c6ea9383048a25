#include <string>
#include <vector>

#include "kernels/cu.h"
#if defined(__CUDACC__)
#include <cuda.h>  // for its types: libcuda is asked for its functions when the program runs
#endif

namespace fettle {
namespace {

/// What the driver's functions take, in their order of axes: the fastest first.
struct Description {
  TensorElement element;
  const void* base;
  std::vector<uint64_t> extents, strides;  ///< strides in bytes, of all axes but the first
  Swizzle swizzle;
  std::vector<uint32_t> box;      ///< tiled
  std::vector<int> lower, upper;  ///< of windows
  uint32_t channels = 0, pixels = 0;
  std::vector<uint32_t> steps;  ///< from a window to the next
};

std::vector<uint64_t> contiguous_strides(TensorElement element,
                                         const std::vector<uint64_t>& extents) {
  std::vector<uint64_t> strides;
  uint64_t bytes = element == TensorElement::bf16 ? 2 : 4;
  for (size_t i = 0; i + 1 < extents.size(); ++i) strides.push_back(bytes *= extents[i]);
  return strides;
}

#if defined(__CUDACC__)

void* driver_function(const char* name) {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found{};
#if CUDART_VERSION >= 12050
  cudaGetDriverEntryPointByVersion(name, &function, 12000, cudaEnableDefault, &found);
#else
  cudaGetDriverEntryPoint(name, &function, cudaEnableDefault, &found);
#endif
  if (found == cudaDriverEntryPointSuccess && function) return function;
  throw CudaError(std::string("the GPU's driver has no ") + name +
                  "; a driver for CUDA 12 or newer is needed");
}

bool encode(const Description& d, TensorMap& map) {
  static_assert(sizeof(TensorMap) == sizeof(CUtensorMap));
  const auto element = d.element == TensorElement::bf16 ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16
                                                        : CU_TENSOR_MAP_DATA_TYPE_TFLOAT32;
  const auto rank = static_cast<cuuint32_t>(d.extents.size());
  const auto swizzle = static_cast<CUtensorMapSwizzle>(d.swizzle);
  auto* to = reinterpret_cast<CUtensorMap*>(&map);
  if (d.box.empty()) {
    static const auto encode_windows = reinterpret_cast<decltype(&cuTensorMapEncodeIm2col)>(
        driver_function("cuTensorMapEncodeIm2col"));
    return encode_windows(to, element, rank, const_cast<void*>(d.base), d.extents.data(),
                          d.strides.data(), d.lower.data(), d.upper.data(), d.channels, d.pixels,
                          d.steps.data(), CU_TENSOR_MAP_INTERLEAVE_NONE, swizzle,
                          CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
                          CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
  }
  static const auto encode_tiled = reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(
      driver_function("cuTensorMapEncodeTiled"));
  return encode_tiled(to, element, rank, const_cast<void*>(d.base), d.extents.data(),
                      d.strides.data(), d.box.data(), d.steps.data(), CU_TENSOR_MAP_INTERLEAVE_NONE,
                      swizzle, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
                      CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}

#else

bool encode(const Description& d, TensorMap& map) {
  return simt::encode_tensor_map(&map, d.element == TensorElement::tf32, d.base, d.extents,
                                 d.strides, d.box, d.lower, d.upper, d.channels, d.pixels, d.steps,
                                 static_cast<int>(d.swizzle));
}

#endif

TensorMap encoded(const Description& d) {
  TensorMap map{};
  if (encode(d, map)) return map;
  std::string text = "the GPU's driver takes no tensor map of extents";
  for (const uint64_t extent : d.extents) text += " " + std::to_string(extent);
  throw CudaError(text);
}

}  // namespace

TensorMap tiled_map(TensorElement element, const void* base, std::initializer_list<int64_t> extents,
                    std::initializer_list<int> box, Swizzle swizzle) {
  Description d{.element = element,
                .base = base,
                .extents = {extents.begin(), extents.end()},
                .strides = {},
                .swizzle = swizzle,
                .box = {box.begin(), box.end()},
                .lower = {},
                .upper = {},
                .steps = std::vector<uint32_t>(extents.size(), 1)};
  d.strides = contiguous_strides(element, d.extents);
  return encoded(d);
}

TensorMap windows_map(TensorElement element, const void* base, const WindowsMap& w,
                      Swizzle swizzle) {
  Description d{
      .element = element,
      .base = base,
      .extents = {static_cast<uint64_t>(w.C), static_cast<uint64_t>(w.W),
                  static_cast<uint64_t>(w.H), static_cast<uint64_t>(w.N)},
      .strides = {},
      .swizzle = swizzle,
      .box = {},
      .lower = {static_cast<int>(w.first_w), static_cast<int>(w.first_h)},
      // The last window begins there, counted from the last pixel.
      .upper = {static_cast<int>(w.first_w + (w.Q - 1) * w.stride_w - (w.W - 1)),
                static_cast<int>(w.first_h + (w.P - 1) * w.stride_h - (w.H - 1))},
      .channels = static_cast<uint32_t>(w.channels),
      .pixels = static_cast<uint32_t>(w.pixels),
      .steps = {1, static_cast<uint32_t>(w.stride_w), static_cast<uint32_t>(w.stride_h), 1}};
  d.strides = contiguous_strides(element, d.extents);
  return encoded(d);
}

}  // namespace fettle
