// The convolutions that tests and benchmarks share. All extents of a case differ, so that no two
// axes can be mixed up unnoticed.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "kernels/conv2d/conv2d.h"

namespace fettle {

struct Conv2dCase {
  std::string name;
  Conv2dShape shape;
  friend void PrintTo(const Conv2dCase& c, std::ostream* out) { *out << c.name; }
};

/// A case with P and Q from the pads: output = (n + before + after - dilated kernel) / stride + 1.
inline Conv2dCase conv2d_case(std::string name, Conv2dShape s, int64_t pad_bottom,
                              int64_t pad_right) {
  s.P = (s.H + s.pad_top + pad_bottom - (s.R - 1) * s.dilation_h - 1) / s.stride_h + 1;
  s.Q = (s.W + s.pad_left + pad_right - (s.S - 1) * s.dilation_w - 1) / s.stride_w + 1;
  return {std::move(name), s};
}

inline std::vector<Conv2dCase> conv2d_cases() {
  return {
      conv2d_case("valid", {.N = 2, .H = 7, .W = 11, .C = 3, .K = 5, .R = 3, .S = 2}, 0, 0),
      conv2d_case("same_uneven",
                  {.N = 2,
                   .H = 8,
                   .W = 13,
                   .C = 4,
                   .K = 6,
                   .R = 3,
                   .S = 5,
                   .stride_h = 2,
                   .stride_w = 3,
                   .pad_left = 2},
                  1, 2),
      conv2d_case(
          "wide_pads",
          {.N = 1, .H = 5, .W = 6, .C = 2, .K = 3, .R = 4, .S = 3, .pad_top = 3, .pad_left = 4}, 2,
          5),
      conv2d_case("dilated",
                  {.N = 3,
                   .H = 12,
                   .W = 10,
                   .C = 5,
                   .K = 7,
                   .R = 3,
                   .S = 2,
                   .dilation_h = 2,
                   .dilation_w = 3,
                   .pad_top = 2,
                   .pad_left = 1},
                  1, 2),
      conv2d_case("strided_dilated",
                  {.N = 2,
                   .H = 17,
                   .W = 14,
                   .C = 3,
                   .K = 4,
                   .R = 3,
                   .S = 2,
                   .stride_h = 3,
                   .stride_w = 2,
                   .dilation_h = 2,
                   .dilation_w = 2,
                   .pad_top = 1},
                  2, 0),
      conv2d_case("grouped",
                  {.N = 2,
                   .H = 6,
                   .W = 9,
                   .C = 12,
                   .K = 8,
                   .R = 2,
                   .S = 3,
                   .pad_top = 1,
                   .pad_left = 1,
                   .groups = 4},
                  0, 1),
      conv2d_case("depthwise",
                  {.N = 2,
                   .H = 5,
                   .W = 8,
                   .C = 7,
                   .K = 7,
                   .R = 3,
                   .S = 3,
                   .pad_top = 1,
                   .pad_left = 1,
                   .groups = 7},
                  1, 1),
      conv2d_case("pointwise", {.N = 3, .H = 5, .W = 7, .C = 33, .K = 70}, 0, 0),
      conv2d_case("pointwise_strided",
                  {.N = 2, .H = 7, .W = 8, .C = 18, .K = 35, .stride_h = 2, .stride_w = 3}, 0, 0),
      conv2d_case(
          "stride_past_kernel",
          {.N = 1, .H = 11, .W = 10, .C = 2, .K = 3, .R = 2, .S = 1, .stride_h = 4, .stride_w = 3},
          0, 0),
      conv2d_case(
          "many_panels",
          {.N = 2, .H = 9, .W = 15, .C = 17, .K = 149, .R = 3, .S = 3, .pad_top = 1, .pad_left = 1},
          1, 1),
      conv2d_case(
          "many_boxes",
          {.N = 1, .H = 70, .W = 90, .C = 6, .K = 10, .R = 3, .S = 5, .pad_top = 1, .pad_left = 2},
          1, 2),
      conv2d_case(
          "one_pixel",
          {.N = 2, .H = 1, .W = 1, .C = 3, .K = 4, .R = 3, .S = 3, .pad_top = 1, .pad_left = 1}, 1,
          1),
  };
}

}  // namespace fettle
