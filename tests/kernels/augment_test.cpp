#include "kernels/augment/augment.h"

#include <gtest/gtest.h>

#include "tests/kernel_check.h"

namespace fettle {
namespace {

/// Geometry that leaves the picture far behind.
Array<> transforms(int64_t pictures, uint32_t seed) {
  Array<> t = random_values(pictures * 6, seed);
  for (int64_t n = 0; n < pictures; ++n) {
    t[n * 6 + 2] *= 20;
    t[n * 6 + 5] *= 20;
  }
  return t;
}

class AugmentKernels : public testing::Test {
 protected:
  /// Expects what the definition gives, of f32 pictures, of bytes, and of bytes with a scaling.
  void expect_changes(const std::vector<PictureMove>& moves,
                      const std::vector<ColourChange>& colours, const std::string& what,
                      double tolerance) {
    PictureChanges changes;
    for (const PictureMove& move : moves) changes.move[changes.moves++] = move;
    for (const ColourChange& colour : colours) changes.colour[changes.colours++] = colour;
    for (Pictures p : {Pictures{2, 7, 11, 3}, {3, 8, 5, 1}, {1, 9, 6, 4}, {0, 3, 3, 1}}) {
      const int64_t n = p.N * p.H * p.W * p.C;
      const Array<> floats = random_values(n, 1), scaling = random_values(2 * p.N, 9);
      Array<uint8_t> bytes;
      for (const float value : floats) bytes.push_back(static_cast<uint8_t>(128 + 50 * value));
      const Array<> geometry[] = {transforms(p.N, 2), transforms(p.N, 3), transforms(p.N, 4)};
      const Array<> drawn[] = {random_values(p.N, 5), random_values(p.N, 6), random_values(p.N, 7)};
      for (int k = 0; k < PictureChanges::most; ++k) {
        changes.move[k].transforms = geometry[k].data();
        changes.colour[k].drawn = drawn[k].data();
      }
      expect_same(
          [&](auto device) {
            Arrays out = {unwritten(n), unwritten(n), unwritten(n)};
            p.floats = floats.data();
            augment(device, p, changes, out[0].data());
            p.floats = nullptr;
            p.bytes = bytes.data();
            augment(device, p, changes, out[1].data());
            p.scaling = scaling.data();
            augment(device, p, changes, out[2].data());
            p.bytes = nullptr;
            p.scaling = nullptr;
            return out;
          },
          what, tolerance);
    }
  }

  static constexpr PictureMove bilinear = {nullptr, Interpolation::bilinear}, nearest = {};
  static constexpr ColourChange contrast = {ColourChange::Kind::contrast};
  static constexpr ColourChange brightness = {ColourChange::Kind::brightness, nullptr, -0.5f,
                                              100.0f};
  static constexpr ColourChange rescaled = {ColourChange::Kind::rescale, nullptr, 0.25f, -3};
};

// Where values travel unchanged, but for what scales bytes.
TEST_F(AugmentKernels, CopyAndMoveToTheNearestPixel) {
  expect_changes({}, {}, "nothing", 1e-7);
  expect_changes({nearest}, {}, "nearest", 1e-7);
  expect_changes({nearest, nearest, nearest}, {}, "nearest thrice", 1e-7);
}

// Positions are rounded to fp32, once for each move.
TEST_F(AugmentKernels, MixPixels) {
  expect_changes({bilinear}, {}, "bilinear", 1e-4);
  expect_changes({nearest, bilinear}, {}, "nearest, bilinear", 1e-4);
  expect_changes({nearest, bilinear, bilinear}, {}, "all moves", 3e-4);
}

TEST_F(AugmentKernels, ChangeColours) {
  for (const ColourChange& change : {contrast, brightness, rescaled})
    expect_changes({}, {change}, "a colour", 1e-6);
  expect_changes({}, {contrast, brightness, rescaled}, "colours", 1e-6);
  expect_changes({}, {rescaled, brightness, contrast}, "reversed", 1e-6);
  expect_changes({}, {contrast, contrast}, "contrast twice", 1e-6);
}

TEST_F(AugmentKernels, MoveThenColour) {
  expect_changes({nearest, bilinear}, {brightness, rescaled}, "without contrast", 1e-4);
  expect_changes({bilinear, nearest}, {brightness, contrast, rescaled}, "with contrast", 1e-4);
}

}  // namespace
}  // namespace fettle
