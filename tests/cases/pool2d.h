// The poolings that tests and benchmarks share.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "kernels/pool2d/pool2d.h"

namespace fettle {

struct Pool2dCase {
  std::string name;
  Pool2dShape shape;
  friend void PrintTo(const Pool2dCase& c, std::ostream* out) { *out << c.name; }
};

inline std::vector<Pool2dCase> pool2d_cases() {
  return {
      {"halves",
       {.N = 2,
        .H = 6,
        .W = 10,
        .C = 3,
        .R = 2,
        .S = 2,
        .P = 3,
        .Q = 5,
        .stride_h = 2,
        .stride_w = 2}},
      {"cropped",
       {.N = 3,
        .H = 7,
        .W = 11,
        .C = 17,
        .R = 2,
        .S = 2,
        .P = 3,
        .Q = 5,
        .stride_h = 2,
        .stride_w = 2}},
      {"overlapping",
       {.N = 2,
        .H = 9,
        .W = 8,
        .C = 5,
        .R = 3,
        .S = 3,
        .P = 5,
        .Q = 4,
        .stride_h = 2,
        .stride_w = 2,
        .pad_top = 1}},
      {"overlapping_vectors",
       {.N = 2,
        .H = 9,
        .W = 11,
        .C = 16,
        .R = 3,
        .S = 3,
        .P = 5,
        .Q = 6,
        .stride_h = 2,
        .stride_w = 2,
        .pad_top = 1,
        .pad_left = 1}},
      {"uneven",
       {.N = 1,
        .H = 8,
        .W = 13,
        .C = 21,
        .R = 2,
        .S = 4,
        .P = 3,
        .Q = 5,
        .stride_h = 3,
        .stride_w = 3,
        .pad_left = 2}},
      {"strided_past",
       {.N = 2,
        .H = 10,
        .W = 7,
        .C = 4,
        .R = 2,
        .S = 1,
        .P = 3,
        .Q = 4,
        .stride_h = 4,
        .stride_w = 2}},
      {"large_windows",
       {.N = 2,
        .H = 17,
        .W = 12,
        .C = 35,
        .R = 9,
        .S = 8,
        .P = 5,
        .Q = 3,
        .stride_h = 3,
        .stride_w = 4,
        .pad_top = 2,
        .pad_left = 3}},
      {"whole", {.N = 2, .H = 5, .W = 9, .C = 33, .R = 5, .S = 9}},
  };
}

}  // namespace fettle
