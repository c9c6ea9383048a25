#include "kernels/augment/augment.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/parallel.h"
#include "tests/random_values.h"

namespace fettle {
namespace {

template <class Device>
std::vector<Array<>> all(Device device, const PictureShape& s) {
  const Array<> x = random_values(s.N * s.H * s.W * s.C, 1);
  Array<> transforms = random_values(s.N * 6, 2);
  for (int64_t n = 0; n < s.N; ++n) {
    transforms[n * 6 + 2] *= 20;  // positions far outside the picture
    transforms[n * 6 + 5] *= 20;
  }
  const Array<> drawn = random_values(s.N, 3);
  std::vector<Array<>> out(4, Array<>(x.size(), NAN));
  affine_transform(device, s, Interpolation::bilinear, x.data(), transforms.data(), out[0].data());
  affine_transform(device, s, Interpolation::nearest, x.data(), transforms.data(), out[1].data());
  adjust_contrast(device, s, x.data(), drawn.data(), out[2].data());
  adjust_brightness(device, s, -0.5f, 0.75f, x.data(), drawn.data(), out[3].data());
  return out;
}

TEST(AugmentKernels, EqualTheDoublePrecisionDefinition) {
  for (const PictureShape& s : {PictureShape{2, 7, 11, 3}, {3, 8, 5, 1}, {1, 9, 6, 4}}) {
    const auto ours = all(Cpu{}, s), reference = all(Reference{}, s);
    EXPECT_LT(relative_error(ours[0], reference[0]), 1e-4) << "positions are rounded to fp32";
    EXPECT_EQ(ours[1], reference[1]);
    EXPECT_LT(relative_error(ours[2], reference[2]), 1e-6);
    EXPECT_EQ(ours[3], reference[3]);
    set_threads(3);
    EXPECT_EQ(all(Cpu{}, s), ours);
    set_threads(0);
  }
}

}  // namespace
}  // namespace fettle
