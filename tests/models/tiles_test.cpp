#include "models/tiles.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "engine/autograd.h"
#include "engine/memory.h"
#include "engine/ops/activation.h"
#include "models/model.h"
#include "tests/models/spread.h"
#include "tests/random_values.h"
#include "tests/stored_values.h"

namespace fettle {
namespace {

/// A segmenter with weights that let signals through all of its depth.
std::unique_ptr<Layer> segmenter(const std::string& name, int64_t channels) {
  std::unique_ptr<Layer> model = model_entry(name).make({.classes = 2});
  build(*model, {1, 64, 64, channels}, 5);
  set_spread_weights(named_tensors(*model),
                     [](const NamedTensor& t) { return t.tensor.size() / t.tensor.shape()[0]; });
  return model;
}

// A pixel in the middle, and how far from it the output changes.
TEST(Tiles, NoModelLooksFartherThanItsEntrySays) {
  for (const char* name : {"res_unet", "unet_xception"}) {
    const ModelEntry& entry = model_entry(name);
    const int64_t H = 16, W = (2 * entry.reach + 64) / 16 * 16, C = entry.channels;
    const std::unique_ptr<Layer> model = segmenter(name, C);
    const NoGrad no_grad;
    // Every place within a period of the poolings.
    int64_t farthest = 0;
    for (int64_t middle = W / 2; middle < W / 2 + 16; ++middle) {
      Tensor x = random_tensor({1, H, W, C}, 1).to(Device::cpu());
      const std::vector<float> before = (*model)(x).to_vector();
      for (int64_t row = 0; row < H; ++row)
        for (int64_t c = 0; c < C; ++c) x.data()[(row * W + middle) * C + c] += 1000;
      const std::vector<float> after = (*model)(x).to_vector();
      std::vector<float> change(before.size());
      for (size_t i = 0; i < before.size(); ++i) change[i] = std::abs(after[i] - before[i]);
      // Outputs that share a Winograd tile with one that sees the change round otherwise.
      const float rounding = 1e-5f * std::ranges::max(change);
      for (size_t i = 0; i < before.size(); ++i) {
        const int64_t column = static_cast<int64_t>(i) / 2 % W;
        if (change[i] > rounding) farthest = std::max(farthest, std::abs(column - middle));
      }
    }
    EXPECT_LE(farthest, entry.reach) << name;
    EXPECT_GT(farthest, entry.reach / 3) << name << ": the test sees too little";
  }
}

TEST(Tiles, AreTheWholePictureAwayFromTheBorders) {
  const std::unique_ptr<Layer> model = segmenter("res_unet", 1);
  const ModelFunction probabilities = [&](const Tensor& x) { return sigmoid((*model)(x)); };
  const Tensor x = random_tensor({1, 208, 400, 1}, 3).to(Device::cpu());
  const NoGrad no_grad;
  const std::vector<float> whole = probabilities(x).to_vector();
  for (const int64_t reach : {64, 80}) {
    const std::vector<float> tiled =
        apply_in_tiles(probabilities, x, Device::cpu(),
                       {.height = 192, .width = 208, .multiple = 16, .reach = reach})
            .to_vector();
    ASSERT_EQ(tiled.size(), whole.size());
    for (size_t i = 0; i < whole.size(); ++i) ASSERT_NEAR(tiled[i], whole[i], 1e-5) << i;
  }
}

// What tiles must not do: the same with a reach that is too short differs.
TEST(Tiles, NeedTheirReach) {
  const std::unique_ptr<Layer> model = segmenter("res_unet", 1);
  const ModelFunction probabilities = [&](const Tensor& x) { return sigmoid((*model)(x)); };
  const Tensor x = random_tensor({1, 64, 400, 1}, 3).to(Device::cpu());
  const NoGrad no_grad;
  const std::vector<float> whole = probabilities(x).to_vector();
  const std::vector<float> tiled =
      apply_in_tiles(probabilities, x, Device::cpu(), {.height = 64, .width = 208, .reach = 0})
          .to_vector();
  double most = 0;
  for (size_t i = 0; i < whole.size(); ++i)
    most = std::max<double>(most, std::abs(tiled[i] - whole[i]));
  EXPECT_GT(most, 1e-3);
}

// Any size; the extension is the mirror image, and what it adds is cut off.
TEST(Tiles, TakePicturesOfAnySizeInBoundedTiles) {
  std::vector<Shape> seen;
  const ModelFunction same = [&](const Tensor& x) {
    seen.push_back(x.shape());
    return x;
  };
  for (const auto& [height, width] :
       std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {3, 250}, {97, 31}, {300, 170}}) {
    const Tensor x = random_tensor({1, height, width, 3}, 2).to(Device::cpu());
    seen.clear();
    const std::vector<float> y =
        apply_in_tiles(same, x, Device::cpu(),
                       {.height = 70, .width = 80, .multiple = 16, .reach = 10})
            .to_vector();
    EXPECT_LT(relative_error(y, x.to_vector()), 1e-6) << height << "x" << width;
    for (const Shape& tile : seen) {
      EXPECT_LE(tile[1], 80);
      EXPECT_LE(tile[2], 80);
      EXPECT_EQ(tile[1] % 16 + tile[2] % 16, 0);
    }
  }
}

TEST(Tiles, FourThousandByThreeThousandTakeTheMemoryOfOneTile) {
  const int64_t H = 3000, W = 4000, tile = 1024;
  // The network's own memory is that of a tile by its nature; what the tiling adds shows better so.
  const ModelFunction cheap = [&](const Tensor& x) { return sigmoid(x); };
  const Tensor x = Tensor::zeros({1, H, W, 1});
  const TileOptions options = {.height = tile, .width = tile, .reach = 64};
  const int64_t before = memory_stats(Device::cpu()).current;
  reset_peak_memory(Device::cpu());
  const Tensor y = apply_in_tiles(cheap, x, Device::cpu(), options);
  EXPECT_EQ(y.shape(), (Shape{1, H, W, 1}));
  const int64_t beside = memory_stats(Device::cpu()).peak - before - H * W * 4;
  EXPECT_LE(beside, 3 * tile * tile * 4);
}

TEST(Tiles, RefuseWhatCannotBe) {
  const ModelFunction same = [](const Tensor& x) { return x; };
  const ModelFunction half = [](const Tensor& x) {
    return Tensor::zeros({1, x.shape()[1] / 2, x.shape()[2], 1});
  };
  const Tensor x = Tensor::zeros({1, 200, 200, 1});
  const auto refusal = [&](const ModelFunction& model, const Tensor& input, int64_t reach) {
    return message_of([&] {
      apply_in_tiles(model, input, Device::cpu(), {.height = 64, .width = 64, .reach = reach});
    });
  };
  EXPECT_NE(refusal(same, x, 64).find("too small"), std::string::npos);
  EXPECT_NE(refusal(half, x, 4).find("height and width must stay"), std::string::npos);
  EXPECT_NE(refusal(same, Tensor::zeros({2, 8, 8, 1}), 4).find("one picture"), std::string::npos);
}

TEST(ResizeBilinear, HasHalfPixelCentresAndRepeatsTheEdge) {
  const Tensor x = Tensor::from({1, 1, 2, 2}, std::vector<float>{0, 10, 4, 30});
  EXPECT_EQ(resize_bilinear(x, 1, 4).to_vector(), (std::vector<float>{0, 10, 1, 15, 3, 25, 4, 30}));
  EXPECT_EQ(resize_bilinear(x, 2, 1).to_vector(), (std::vector<float>{2, 20, 2, 20}));
}

}  // namespace
}  // namespace fettle
