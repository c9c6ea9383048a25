#include "layers/augmentation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "engine/ops/arithmetic.h"
#include "engine/ops/augment.h"
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

// A picture of 0 and 1 is its own mask: bilinear and nearest agree on which half a pixel is nearer.
TEST(Augmentation, MasksMoveWithTheirPicturesAndStayMasks) {
  const int64_t n = 12, size = 24;
  std::vector<float> disc;
  for (int64_t i = 0; i < n; ++i)
    for (int64_t row = 0; row < size; ++row)
      for (int64_t column = 0; column < size; ++column) {
        const auto y = static_cast<float>(row - 8), x = static_cast<float>(column - 9 - i % 3);
        disc.push_back(y * y + 0.4f * x * x < 20.0f ? 1.0f : 0.0f);
      }
  const Tensor pictures = Tensor::from({n, size, size, 1}, disc);
  RandomFlip flip;
  RandomRotation rotation(0.5f);
  RandomZoom zoom(0.3f);
  for (RandomLayer* layer : std::initializer_list<RandomLayer*>{&flip, &rotation, &zoom}) {
    Tensor x = pictures, masks = Tensor::from({n, size, size, 1}, disc);
    {
      const TrainingScope training(5, 2);
      layer->apply(x, &masks);
    }
    const std::vector<float> moved = x.to_vector(), mask = masks.to_vector();
    EXPECT_NE(mask, disc) << layer->kind();
    int64_t set = 0, disagree = 0;
    for (size_t i = 0; i < mask.size(); ++i) {
      EXPECT_TRUE(mask[i] == 0 || mask[i] == 1) << layer->kind();
      set += mask[i] == 1;
      // Nearest takes the sample with the largest share in at least one axis each, so a pixel whose
      // bilinear value is far on one side must be on that side.
      disagree += (moved[i] > 0.76f && mask[i] == 0) || (moved[i] < 0.24f && mask[i] == 1);
    }
    EXPECT_GT(set, n * 40) << layer->kind();
    EXPECT_EQ(disagree, 0) << layer->kind();
  }
}

TEST(Augmentation, ColourLeavesMasksAlone) {
  const Tensor masks = random_tensor({2, 4, 5, 3}, 8);
  RandomContrast contrast(0.5f);
  RandomBrightness brightness(0.5f);
  for (RandomLayer* layer : std::initializer_list<RandomLayer*>{&contrast, &brightness}) {
    Tensor x = random_tensor({2, 4, 5, 1}, 7), y = masks;
    const std::vector<float> before = x.to_vector();
    const TrainingScope training(5, 2);
    layer->apply(x, &y);
    EXPECT_NE(x.to_vector(), before) << layer->kind();
    EXPECT_EQ(y.to_vector(), masks.to_vector()) << layer->kind();
  }
}

/// Random bytes with their scaling, their values, and masks of bytes and of floats.
struct Bytes {
  Tensor bytes, scaling, floats, masks, mask_floats;

  Bytes() {
    const Shape shape = {3, 14, 11, 3};
    const std::vector<float> noise = random_tensor(shape, 4).to_vector();
    const std::vector<float> means = {100, 120, 90}, factors = {0.02f, 0.5f, 1};
    std::vector<uint8_t> x, y;
    std::vector<float> values, of_scaling;
    for (size_t i = 0; i < noise.size(); ++i) {
      x.push_back(static_cast<uint8_t>(128 + 40 * noise[i]));
      const size_t n = i * 3 / noise.size();
      values.push_back((static_cast<float>(x.back()) - means[n]) * factors[n]);
      y.push_back(noise[i] > 1);
    }
    for (size_t n = 0; n < 3; ++n) of_scaling.insert(of_scaling.end(), {means[n], factors[n]});
    bytes = Tensor::from(shape, x);
    scaling = Tensor::from({3, 2}, of_scaling);
    floats = Tensor::from(shape, values);
    masks = Tensor::from(shape, y);
    mask_floats = Tensor::from(shape, std::vector<float>(y.begin(), y.end()));
  }
};

/// More moves than one kernel takes, colours between them, and what a model does first.
template <class Between>
void change(Tensor& x, Tensor& masks, const Between& between) {
  RandomFlip flip;
  RandomRotation rotation(0.1f);
  RandomZoom zoom(0.2f, 0.1f);
  RandomContrast contrast(0.3f);
  RandomBrightness brightness(0.01f);
  const TrainingScope training(3, 2);
  for (RandomLayer* layer : std::initializer_list<RandomLayer*>{
           &flip, &rotation, &zoom, &flip, &contrast, &zoom, &brightness, &contrast}) {
    layer->apply(x, &masks);
    between(x, masks);
  }
  x = rescale(x, 1 / 127.5f, -1);
}

TEST(Augmentation, BytesAtOnceGiveWhatFloatsGiveOneByOne) {
  const Bytes given;
  Tensor x = given.floats, masks = given.mask_floats;
  change(x, masks, [](Tensor& now, Tensor& y) {
    now.compute();
    y.compute();
  });
  Tensor at_once = pictures(given.bytes, given.scaling), moved = pictures(given.masks);
  change(at_once, moved, [](Tensor& now, Tensor&) { EXPECT_TRUE(now.pending()); });
  EXPECT_EQ(at_once.to_vector(), x.to_vector());
  EXPECT_EQ(moved.to_vector(), masks.to_vector());
#if defined(FETTLE_CUDA)
  if (!gpu_is_there()) GTEST_SKIP() << cuda::why_no_gpu();
  const Device gpu = Device::cuda();
  Tensor there = pictures(given.bytes.to(gpu), given.scaling.to(gpu));
  Tensor moved_there = pictures(given.masks.to(gpu));
  change(there, moved_there, [](Tensor&, Tensor&) {});
  EXPECT_LT(relative_error(there.to_vector(), x.to_vector()), 1e-5);
  EXPECT_EQ(moved_there.to_vector(), masks.to_vector());
#endif
}

TEST(Augmentation, ManyLayersAreOneAfterAnother) {
  Augmentation all;
  all.add(RandomFlip(FlipMode::horizontal));
  all.add(RandomRotation(0.2f));
  const Tensor pictures = random_tensor({4, 9, 9, 1}, 3);
  Tensor x = pictures, masks = random_tensor({4, 9, 9, 2}, 4);
  const TrainingScope training(1, 1);
  all.apply(x, &masks);
  EXPECT_EQ(masks.shape(), (Shape{4, 9, 9, 2}));
  EXPECT_NE(x.to_vector(), pictures.to_vector());
}

}  // namespace
}  // namespace fettle
