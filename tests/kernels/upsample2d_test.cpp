#include "kernels/upsample2d/upsample2d.h"

#include <gtest/gtest.h>

#include "tests/kernel_check.h"

namespace fettle {
namespace {

TEST(UpsampleKernels, EqualTheDefinition) {
  const Upsample2dShape shapes[] = {
      {2, 3, 5, 4, 2, 3},  {1, 1, 1, 17, 4, 2},    {3, 4, 2, 1, 1, 5},
      {1, 5, 3, 33, 2, 2}, {2, 4, 6, 24, 2, 2},    {1, 70, 2, 8, 3, 7},
      {2, 3, 1, 4, 1, 1},  {2, 9, 3, 8, 2, 2, 24}, {1, 4, 3, 4, 3, 2, 7}};
  for (const Upsample2dShape& s : shapes) {
    const int64_t in = s.N * s.H * s.W * s.C;
    const int64_t out_size = s.N * s.H * s.factor_h * s.W * s.factor_w * s.y_pixel();
    const Array<> x = random_values(in, 1), dy = random_values(out_size, 2);
    for (const Upsampling how : {Upsampling::nearest, Upsampling::bilinear}) {
      expect_same(
          [&](auto device) {
            Arrays out = {Array<>(static_cast<size_t>(out_size), -1), unwritten(in)};
            upsample2d_forward(device, s, how, x.data(), out[0].data());
            upsample2d_backward(device, s, how, dy.data(), out[1].data());
            return out;
          },
          cat("factors ", s.factor_h, "x", s.factor_w), 1e-6);
    }
  }
}

}  // namespace
}  // namespace fettle
