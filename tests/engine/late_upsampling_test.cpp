// Networks before and after their upsampling was moved: they compute the same with fewer pixels.
#include "engine/inference/late_upsampling.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "engine/inference/plan.h"
#include "tests/io/small_model.h"
#include "tests/random_values.h"

namespace fettle::inference {
namespace {

constexpr int64_t extent = 3;

/// Steps one by one, each of which gives the activation's number.
struct Builder {
  Network network;

  int push(Operation operation, std::vector<int> inputs) {
    Step& step = network.steps.emplace_back();
    step.operation = operation, step.inputs = std::move(inputs);
    return static_cast<int>(network.steps.size());
  }
  int conv(int input, int64_t C, int64_t K, int64_t kernel = 1, int adds = absent,
           Epilogue epilogue = Epilogue::linear) {
    network.steps.push_back(convolution(network, {K, kernel, kernel, C}, input));
    Step& step = network.steps.back();
    step.epilogue = epilogue;
    if (adds != absent) step.inputs.push_back(adds);
    return static_cast<int>(network.steps.size());
  }
  int upsample(int input, int64_t down = 2, int64_t across = 2,
               Upsampling how = Upsampling::nearest) {
    const int result = push(Operation::upsample2d, {input});
    Step& step = network.steps.back();
    step.rows.extent = down, step.columns.extent = across, step.interpolation = how;
    return result;
  }
};

std::vector<float> predict(const Network& network) {
  Session session(
      std::make_shared<PlannedNetwork>(network, plan(network, extent, extent, PlanOptions{})));
  const Array<> x = random_values(extent * extent * network.channels, 3);
  std::copy(x.begin(), x.end(), session.input());
  const float* y = session.run();
  return {y, y + session.plan().output().size()};
}

/// The network with late upsampling, after a look at what it computes.
Network moved(const Network& network, const std::string& name) {
  Network late = upsample_late(network, extent, extent);
  const std::vector<float> ours = predict(late), wanted = predict(network);
  EXPECT_EQ(ours.size(), wanted.size()) << name;
  float largest = 0;
  for (const float y : wanted) largest = std::max(largest, std::abs(y));
  for (size_t i = 0; i < std::min(ours.size(), wanted.size()); ++i)
    if (std::abs(ours[i] - wanted[i]) > 1e-5f * largest) {
      ADD_FAILURE() << name << ": " << ours[i] << " is not " << wanted[i] << " at " << i;
      break;
    }
  return late;
}

int64_t count(const Network& network, Operation operation) {
  return std::ranges::count(network.steps, operation, &Step::operation);
}

int64_t numbers_written(const Network& network) {
  int64_t sum = 0;
  for (const BoundStep& step : bind(network, extent, extent)) sum += step.output.size();
  return sum;
}

/// A decoder block of Res-UNet: two 1x1 convolutions read what is joined, one of them adds.
TEST(LateUpsampling, AResidualBlockReadsNothingJoined) {
  for (const bool skip_first : {false, true}) {
    for (const Upsampling how : {Upsampling::nearest, Upsampling::bilinear}) {
      Builder b;
      const int skip = b.conv(0, 3, 4), x = b.push(Operation::max_pool2d, {skip});
      b.network.steps.back().rows = b.network.steps.back().columns = {.extent = 3, .stride = 3};
      const int up = b.upsample(b.conv(x, 4, 8, 1, absent, Epilogue::relu), 3, 3, how);
      const int joined = b.push(Operation::concatenate,
                                skip_first ? std::vector{skip, up} : std::vector{up, skip});
      const int inner = b.conv(joined, 12, 4, 1, absent, Epilogue::relu);
      const int main = b.conv(inner, 4, 4, 3);
      b.conv(joined, 12, 4, 1, main, Epilogue::relu);
      const Network late = moved(b.network, "block");
      EXPECT_EQ(count(late, Operation::concatenate), 0);
      EXPECT_EQ(count(late, Operation::upsample2d), 2);
      EXPECT_LT(numbers_written(late), numbers_written(b.network));
      EXPECT_EQ(late.steps.back().rows.extent, 3);  // the inner convolution has the last word
      EXPECT_EQ(late.steps.back().epilogue, Epilogue::relu);
    }
  }
}

/// A decoder block of U-Net Xception: the sum of two enlarged pictures is enlarged once.
TEST(LateUpsampling, SumsOfEnlargedPicturesAreSmall) {
  Builder b;
  const int x = b.conv(0, 3, 4, 3), up = b.upsample(x);
  const int sum = b.conv(b.upsample(b.conv(x, 4, 4, 3)), 4, 4, 1, up);
  const int bent = b.push(Operation::unary, {sum});
  const int twice = b.upsample(bent);
  b.conv(twice, 4, 2, 1, absent, Epilogue::relu);
  const Network late = moved(b.network, "sums");
  EXPECT_EQ(count(late, Operation::upsample2d), 1);
  EXPECT_EQ(late.steps.back().operation, Operation::upsample2d);
  EXPECT_EQ(late.steps.back().rows.extent, 4);
}

TEST(LateUpsampling, WhatLooksAroundReadsTheEnlargedPicture) {
  Builder b;
  const int up = b.upsample(b.conv(0, 3, 4));
  b.conv(b.push(Operation::concatenate, {up, b.conv(up, 4, 2, 3)}), 6, 4, 3);
  const Network late = moved(b.network, "3x3");
  EXPECT_EQ(count(late, Operation::concatenate), 1);
  EXPECT_EQ(count(late, Operation::upsample2d), 1);

  Builder bent;  // bilinear pixels are means, and a mean of ReLUs is not the ReLU of a mean
  bent.conv(bent.upsample(bent.conv(0, 3, 4), 2, 3, Upsampling::bilinear), 4, 5, 1, absent,
            Epilogue::relu);
  EXPECT_EQ(moved(bent.network, "bilinear").steps.back().operation, Operation::conv2d);
}

/// Steps at random, in any order that fits.
TEST(LateUpsampling, AnyNetworkComputesTheSame) {
  Pick pick(5);
  int64_t before = 0, after = 0;
  for (int round = 0; round < 400; ++round) {
    Builder b;
    struct Known {
      int64_t down, across, channels;
    };
    std::vector<Known> known = {{1, 1, 3}};
    const auto any = [&] { return static_cast<int>(pick(0, std::ssize(known) - 1)); };
    const auto like = [&](int activation, bool channels) {
      const Known& k = known[static_cast<size_t>(activation)];
      std::vector<int> all;
      for (int i = 0; i < std::ssize(known); ++i) {
        const Known& other = known[static_cast<size_t>(i)];
        if (other.down == k.down && other.across == k.across &&
            (!channels || other.channels == k.channels))
          all.push_back(i);
      }
      return all[static_cast<size_t>(pick(0, std::ssize(all) - 1))];
    };
    const int64_t steps = pick(4, 14);
    while (std::ssize(b.network.steps) < steps) {
      const int input = pick(0, 2) ? static_cast<int>(std::ssize(known)) - 1 : any();
      Known k = known[static_cast<size_t>(input)];
      switch (pick(0, 6)) {
        case 0:
        case 1: {
          const int64_t down = pick(1, 2), across = pick(1, 2);
          if (k.down * down > 4 || k.across * across > 4) continue;
          b.upsample(input, down, across, pick(0, 2) ? Upsampling::nearest : Upsampling::bilinear);
          k.down *= down, k.across *= across;
          break;
        }
        case 2:
        case 3: {
          const int adds = pick(0, 1) ? like(input, false) : absent;
          const int64_t K = adds == absent ? pick(1, 6) : known[static_cast<size_t>(adds)].channels;
          b.conv(input, k.channels, K, pick(0, 3) ? 1 : 3, adds,
                 pick(0, 1) ? Epilogue::relu : Epilogue::linear);
          k.channels = K;
          break;
        }
        case 4: {
          std::vector<int> parts = {input, like(input, false)};
          if (pick(0, 3) == 0) parts.push_back(like(input, false));
          k.channels = 0;
          for (const int part : parts) k.channels += known[static_cast<size_t>(part)].channels;
          if (k.channels > 20) continue;
          b.push(Operation::concatenate, parts);
          break;
        }
        case 5:
          b.push(Operation::add, {input, like(input, true)});
          break;
        default:
          b.push(Operation::unary, {input});
      }
      known.push_back(k);
    }
    const Network late = moved(b.network, "network " + std::to_string(round));
    before += numbers_written(b.network), after += numbers_written(late);
    if (HasFailure()) return;
  }
  EXPECT_LT(after, before * 9 / 10);
}

}  // namespace
}  // namespace fettle::inference
