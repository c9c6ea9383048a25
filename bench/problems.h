// The convolutions that every benchmark goes through: those of ResNet50 (224x224) and Res-UNet
// (256x256x1).
#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "kernels/conv2d/conv2d.h"

namespace fettle {

struct Problem {
  const char* network;
  Conv2dShape shape;
};

/// A square convolution with PyTorch's padding of half the kernel.
inline Conv2dShape square(int64_t n, int64_t extent, int64_t C, int64_t K, int64_t kernel,
                          int64_t stride) {
  const int64_t pad = kernel / 2, out = (extent + 2 * pad - kernel) / stride + 1;
  return {.N = n,
          .H = extent,
          .W = extent,
          .C = C,
          .K = K,
          .R = kernel,
          .S = kernel,
          .P = out,
          .Q = out,
          .stride_h = stride,
          .stride_w = stride,
          .pad_top = pad,
          .pad_left = pad};
}

/// Every distinct convolution of both networks at that batch size.
inline std::vector<Problem> problems(int64_t n) {
  std::vector<Problem> all;
  const auto add = [&](const char* network, const Conv2dShape& s) {
    const auto numbers = [](const Conv2dShape& t) {
      return std::array{t.H, t.C, t.K, t.R, t.stride_h};
    };
    for (const Problem& other : all)
      if (network == std::string_view(other.network) && numbers(other.shape) == numbers(s)) return;
    all.push_back({network, s});
  };
  add("resnet50", square(n, 224, 3, 64, 7, 2));
  int64_t in = 64, extent = 56;
  for (int64_t width : {64, 128, 256, 512}) {
    const int64_t stride = width == 64 ? 1 : 2, down = extent / stride;
    add("resnet50", square(n, extent, in, width, 1, 1));
    add("resnet50", square(n, extent, width, width, 3, stride));
    add("resnet50", square(n, down, width, 4 * width, 1, 1));
    add("resnet50", square(n, extent, in, 4 * width, 1, stride));
    add("resnet50", square(n, down, 4 * width, width, 1, 1));
    if (stride == 2) add("resnet50", square(n, down, width, width, 3, 1));
    in = 4 * width;
    extent = down;
  }
  add("res_unet", square(n, 256, 1, 16, 3, 1));
  add("res_unet", square(n, 256, 16, 16, 3, 1));
  in = 16;
  extent = 128;
  for (int64_t width : {32, 64, 128, 256}) {  // down
    add("res_unet", square(n, extent, in, width, 1, 1));
    add("res_unet", square(n, extent, width, width, 3, 1));
    in = width;
    extent /= 2;
  }
  extent = 32;
  for (int64_t width : {128, 64, 32, 16}) {  // up: the skip has as many channels as the block
    const int64_t joined = 2 * width + width;
    add("res_unet", square(n, extent, joined, width, 1, 1));
    add("res_unet", square(n, extent, width, width, 3, 1));
    extent *= 2;
  }
  add("res_unet", square(n, 256, 16, 4, 1, 1));
  return all;
}

}  // namespace fettle
