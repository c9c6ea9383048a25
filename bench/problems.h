// The convolutions that every benchmark goes through: those of ResNet50 (224x224) and Res-UNet
// (256x256x1, and on a GPU 256x1600x1), and depthwise ones as MobileNetV2 has them.
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

/// A convolution by a square kernel with PyTorch's padding of half of it.
inline Conv2dShape padded(int64_t n, int64_t height, int64_t width, int64_t C, int64_t K,
                          int64_t kernel, int64_t stride) {
  const int64_t pad = kernel / 2;
  const auto out = [&](int64_t extent) { return (extent + 2 * pad - kernel) / stride + 1; };
  return {.N = n,
          .H = height,
          .W = width,
          .C = C,
          .K = K,
          .R = kernel,
          .S = kernel,
          .P = out(height),
          .Q = out(width),
          .stride_h = stride,
          .stride_w = stride,
          .pad_top = pad,
          .pad_left = pad};
}

/// Appends a network's convolution unless an equal one is there.
inline void add_problem(std::vector<Problem>& all, const char* network, const Conv2dShape& s) {
  const auto numbers = [](const Conv2dShape& t) {
    return std::array{t.H, t.W, t.C, t.K, t.R, t.stride_h, t.groups};
  };
  for (const Problem& other : all)
    if (network == std::string_view(other.network) && numbers(other.shape) == numbers(s)) return;
  all.push_back({network, s});
}

/// Every distinct convolution of ResNet50 with n pictures.
inline void add_resnet50(std::vector<Problem>& all, int64_t n) {
  const auto add = [&](int64_t extent, int64_t C, int64_t K, int64_t kernel, int64_t stride) {
    add_problem(all, "resnet50", padded(n, extent, extent, C, K, kernel, stride));
  };
  add(224, 3, 64, 7, 2);
  int64_t in = 64, extent = 56;
  for (int64_t width : {64, 128, 256, 512}) {
    const int64_t stride = width == 64 ? 1 : 2, down = extent / stride;
    add(extent, in, width, 1, 1);
    add(extent, width, width, 3, stride);
    add(down, width, 4 * width, 1, 1);
    add(extent, in, 4 * width, 1, stride);
    add(down, 4 * width, width, 1, 1);
    if (stride == 2) add(down, width, width, 3, 1);
    in = 4 * width;
    extent = down;
  }
}

/// Every distinct convolution of Res-UNet with n pictures of 256 rows.
inline void add_res_unet(std::vector<Problem>& all, const char* network, int64_t n,
                         int64_t columns) {
  const auto add = [&](int64_t height, int64_t C, int64_t K, int64_t kernel) {
    add_problem(all, network, padded(n, height, columns * height / 256, C, K, kernel, 1));
  };
  add(256, 1, 16, 3);
  add(256, 16, 16, 3);
  int64_t in = 16, extent = 128;
  for (int64_t width : {32, 64, 128, 256}) {  // down
    add(extent, in, width, 1);
    add(extent, width, width, 3);
    in = width;
    extent /= 2;
  }
  extent = 32;
  for (int64_t width : {128, 64, 32, 16}) {  // up: the skip has as many channels as the block
    add(extent, 3 * width, width, 1);
    add(extent, width, width, 3);
    extent *= 2;
  }
  add(256, 16, 4, 1);
}

/// Every distinct depthwise convolution of MobileNetV2 at 224x224 (Sandler et al., 2018, table 2)
/// with n pictures.
inline void add_depthwise(std::vector<Problem>& all, int64_t n) {
  const auto add = [&](int64_t extent, int64_t C, int64_t stride) {
    Conv2dShape s = padded(n, extent, extent, C, C, 3, stride);
    s.groups = C;
    add_problem(all, "depthwise", s);
  };
  add(112, 32, 1), add(112, 96, 2);
  add(56, 144, 1), add(56, 144, 2);
  add(28, 192, 1), add(28, 192, 2);
  add(14, 384, 1), add(14, 576, 1), add(14, 576, 2);
  add(7, 960, 1);
}

/// Every distinct convolution of the networks at that batch size.
inline std::vector<Problem> problems(int64_t n) {
  std::vector<Problem> all;
  add_resnet50(all, n);
  add_res_unet(all, "res_unet", n, 256);
  add_depthwise(all, n);
  return all;
}

/// Floats of the weights [K,R,S,C/groups].
inline int64_t weight_floats(const Conv2dShape& s) {
  return s.K * s.R * s.S * (s.C / s.groups);
}

/// A multiply and an add count as two.
inline double flops_of(const Conv2dShape& s) {
  return 2.0 * static_cast<double>(s.N * s.P * s.Q) * static_cast<double>(weight_floats(s));
}

}  // namespace fettle
