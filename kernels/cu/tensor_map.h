// Tensors in global memory as the bulk copies of hopper.h see them: the host's side.
#pragma once

#include <cstdint>
#include <initializer_list>

namespace fettle {

/// How a box lies in shared memory: the 16-byte chunks of each 32, 64 or 128 bytes change places by
/// an exclusive or with the address bits from 128 bytes on. Boxes of `bytes128` begin at multiples
/// of 1024 bytes. The numbers are those of CUtensorMapSwizzle.
enum class Swizzle { none = 0, bytes32 = 1, bytes64 = 2, bytes128 = 3 };

/// tf32: floats, rounded to 10 bits of mantissa on their way.
enum class TensorElement { bf16, tf32 };

/// What a bulk copy knows of a tensor in global memory. A kernel takes it as
/// `const __grid_constant__ TensorMap`. CUDA driver API, "Tensor Map Object Management".
struct alignas(64) TensorMap {
  unsigned char opaque[128];
};

/// Boxes of a contiguous tensor; extents of both from the fastest axis on, up to five. The base is
/// aligned to 16 bytes and so is every stride. A box costs its whole size, whatever part of it lies
/// outside the tensor and is zeros. Throws CudaError.
TensorMap tiled_map(TensorElement element, const void* base, std::initializer_list<int64_t> extents,
                    std::initializer_list<int> box, Swizzle swizzle);

/// The windows of a convolution over an NHWC tensor. Pixel i of a copy is the i-th output after the
/// first, along a row, then down the rows, then to the next picture: its window begins at
/// (p * stride_h + first_h, q * stride_w + first_w) for p in [0, P) and q in [0, Q).
struct WindowsMap {
  int64_t N, H, W, C;  ///< of the tensor
  int64_t P, Q;        ///< windows down and across
  int64_t stride_h, stride_w, first_h, first_w;
  int pixels, channels;  ///< of a copy
};

/// Throws CudaError.
TensorMap windows_map(TensorElement element, const void* base, const WindowsMap& windows,
                      Swizzle swizzle);

}  // namespace fettle
