#include "layers/augmentation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "engine/random.h"
#include "tests/random_values.h"

namespace fettle {
namespace {

Tensor trained(Layer& layer, const Tensor& x, uint64_t seed = 3, uint32_t step = 0) {
  const TrainingScope training(seed, step);
  return layer(x);
}

TEST(Augmentation, DoesNothingInPrediction) {
  const Tensor x = random_tensor({2, 5, 6, 3}, 1);
  RandomFlip flip;
  RandomRotation rotation(0.3f);
  RandomZoom zoom(0.5f);
  RandomContrast contrast(0.5f);
  RandomBrightness brightness(0.5f);
  for (Layer* layer :
       std::initializer_list<Layer*>{&flip, &rotation, &zoom, &contrast, &brightness}) {
    EXPECT_EQ((*layer)(x).to_vector(), x.to_vector());
    EXPECT_NE(trained(*layer, x).to_vector(), x.to_vector()) << layer->kind();
    EXPECT_EQ(trained(*layer, x).to_vector(), trained(*layer, x).to_vector()) << layer->kind();
    EXPECT_NE(trained(*layer, x).to_vector(), trained(*layer, x, 3, 1).to_vector());
  }
}

TEST(Augmentation, FlipIsThePictureOrItsExactMirrorImage) {
  const Tensor x = random_tensor({64, 1, 7, 2}, 1);
  std::vector<float> values = x.to_vector();
  RandomFlip flip(FlipMode::horizontal);
  const std::vector<float> out = trained(flip, x).to_vector();
  int flipped = 0;
  for (int64_t n = 0; n < 64; ++n) {
    bool same = true, mirrored = true;
    for (int64_t w = 0; w < 7; ++w) {
      for (int64_t c = 0; c < 2; ++c) {
        same &= out[(n * 7 + w) * 2 + c] == values[(n * 7 + w) * 2 + c];
        mirrored &= out[(n * 7 + w) * 2 + c] == values[(n * 7 + 6 - w) * 2 + c];
      }
    }
    EXPECT_TRUE(same != mirrored);
    flipped += mirrored;
  }
  EXPECT_GT(flipped, 16);
  EXPECT_LT(flipped, 48);
}

TEST(Augmentation, RotationKeepsTheCentreAndZoomKeepsALinearRampLinear) {
  // A ramp around the centre: zooming by f scales its values by f.
  std::vector<float> ramp;
  for (int i = 0; i < 9; ++i) {
    for (int j = 0; j < 9; ++j) ramp.push_back(static_cast<float>(j - 4));
  }
  const Tensor x = Tensor::from({1, 9, 9, 1}, ramp);
  RandomRotation rotation(0.5f);
  EXPECT_NEAR(trained(rotation, x).to_vector()[40], 0, 1e-5);
  RandomZoom zoom(0.3f);
  for (uint64_t seed = 0; seed < 10; ++seed) {
    const std::vector<float> y = trained(zoom, x, seed).to_vector();
    const float factor = y[41] - y[40];
    EXPECT_NEAR(y[40], 0, 1e-5);
    EXPECT_GE(factor, 0.7f - 1e-4f);
    EXPECT_LE(factor, 1.3f + 1e-4f);
    EXPECT_NEAR(y[42], 2 * factor, 1e-4);
  }
}

TEST(Augmentation, ContrastKeepsTheMeanOfEachChannel) {
  const Tensor x = random_tensor({1, 6, 5, 3}, 1);
  RandomContrast contrast(0.5f);
  const std::vector<float> in = x.to_vector(), out = trained(contrast, x).to_vector();
  for (int64_t c = 0; c < 3; ++c) {
    double before = 0, after = 0;
    for (int64_t i = 0; i < 30; ++i) {
      before += in[i * 3 + c];
      after += out[i * 3 + c];
    }
    EXPECT_NEAR(before, after, 1e-4);
  }
}

}  // namespace
}  // namespace fettle
