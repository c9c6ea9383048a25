// Tensors, memory, random numbers and the tape.
#include <gtest/gtest.h>

#include "engine/autograd.h"
#include "engine/memory.h"
#include "engine/ops/arithmetic.h"
#include "engine/ops/dense.h"
#include "engine/ops/reduce.h"
#include "engine/ops/reshape.h"
#include "engine/random.h"
#include "tests/stored_values.h"

namespace fettle {
namespace {

TEST(Tensor, CopiesTheHandleAndClonesTheElements) {
  Tensor a = Tensor::full({2, 3}, 1);
  Tensor handle = a, copy = a.clone();
  a.data()[0] = 5;
  EXPECT_EQ(handle.data()[0], 5);
  EXPECT_EQ(copy.data()[0], 1);
  EXPECT_EQ(a.view({3, 2}).data()[0], 5);
}

TEST(Tensor, RefusesWhatDoesNotFit) {
  const Tensor a = Tensor::zeros({2, 3});
  EXPECT_EQ(message_of([&] {
              a.view({4, 2});
            }),
            "a tensor of shape [2, 3] cannot be seen as [4, 2]");
  EXPECT_THROW(a.data<int32_t>(), Error);
  EXPECT_THROW(Tensor::from({3}, std::vector<float>{1, 2}), Error);
  EXPECT_THROW(a.item(), Error);
  EXPECT_THROW((Shape{1, 2, 3, 4, 5, 6, 7}), Error);
  EXPECT_THROW((Shape{-1}), Error);
  EXPECT_THROW(Tensor::empty({1}, DType::f32, Device::meta()).to_vector(), Error);
  EXPECT_THROW(Tensor::zeros({2}, DType::f32, Device::cuda(1)), Error);
}

TEST(Memory, CountsCurrentAndPeakBytesAndReusesBlocks) {
  const int64_t before = memory_stats().current;
  reset_peak_memory();
  const float* block = nullptr;
  {
    const Tensor a = Tensor::zeros({1000, 1000});
    block = a.data();
    EXPECT_GE(memory_stats().current - before, 4'000'000);
  }
  EXPECT_EQ(memory_stats().current, before);
  EXPECT_GE(memory_stats().peak - before, 4'000'000);
  EXPECT_EQ(Tensor::empty({1000, 1000}).data(), block);
  release_cached_memory();
  EXPECT_LT(memory_stats().reserved - memory_stats().current, 1'000'000);
}

TEST(Memory, SaysWhenThereIsNoMore) {
  const std::string message = message_of([] { Tensor::empty({1 << 20, 1 << 20, 1 << 10}); });
  EXPECT_NE(message.find("out of memory"), std::string::npos) << message;
  EXPECT_NE(message.find("smaller batch"), std::string::npos) << message;
}

TEST(Random, PhiloxGivesTheAuthorsKnownAnswers) {
  // From the known-answer table of the Random123 distribution: philox4x32, 10 rounds.
  const auto words = [](RandomKey key, uint64_t block) {
    const Philox4 four = philox4x32(key, block);
    return std::vector<uint32_t>(four.v, four.v + 4);
  };
  EXPECT_EQ(words({0, 0, 0}, 0),
            (std::vector<uint32_t>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(words({~uint64_t{0}, ~uint32_t{0}, ~uint32_t{0}}, ~uint64_t{0}),
            (std::vector<uint32_t>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(words({0x299f31d0a4093822, 0x03707344, 0x13198a2e}, 0x85a308d3243f6a88),
            (std::vector<uint32_t>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Random, ScopesCountStreamsAndNest) {
  const RandomScope outer(7, 3);
  EXPECT_EQ(next_random_key().stream, 0u);
  {
    const TrainingScope inner(9, 4);
    EXPECT_TRUE(is_training());
    const RandomKey key = next_random_key();
    EXPECT_EQ(key.seed, 9u);
    EXPECT_EQ(key.step, 4u);
    EXPECT_EQ(key.stream, 0u);
  }
  EXPECT_FALSE(is_training());
  EXPECT_EQ(next_random_key().stream, 1u);
}

TEST(Autograd, AddsOverSharedInputsAndRepeatedPasses) {
  const Tensor x = leaf(Tensor::full({3}, 2));
  backward(sum(x + x));
  EXPECT_EQ(x.grad().to_vector(), (std::vector<float>{2, 2, 2}));
  backward(sum(x * x));  // a second pass adds
  EXPECT_EQ(x.grad().to_vector(), (std::vector<float>{6, 6, 6}));
}

TEST(Autograd, VisitsADiamondOnceEach) {
  const Tensor x = leaf(Tensor::full({2}, 3));
  const Tensor a = rescale(x, 2), b = a * a, c = rescale(a, 5);
  backward(sum(b + c));  // 4x^2 + 10x
  EXPECT_EQ(x.grad().to_vector(), (std::vector<float>{34, 34}));
}

TEST(Autograd, PassedGradientsAreNotChangedByTheirNeighbour) {
  const Tensor x = leaf(Tensor::full({2}, 1)), y = leaf(Tensor::full({2}, 1));
  const Tensor s = x + y;
  backward(sum(s + x));
  EXPECT_EQ(x.grad().to_vector(), (std::vector<float>{2, 2}));
  EXPECT_EQ(y.grad().to_vector(), (std::vector<float>{1, 1}));
}

TEST(Autograd, NoGradRecordsNothingAndFreesAtOnce) {
  const Tensor w = leaf(Tensor::zeros({300, 300}));
  Tensor x = Tensor::zeros({300, 300});
  const int64_t before = memory_stats().current;
  {
    const NoGrad no_grad;
    for (int i = 0; i < 5; ++i) x = dense(x, w, {});
    EXPECT_FALSE(x.requires_grad());
    EXPECT_LE(memory_stats().current - before, 0);
  }
  for (int i = 0; i < 5; ++i) x = dense(x, w, {});
  EXPECT_TRUE(x.requires_grad());
  EXPECT_GE(memory_stats().current - before, 4 * 300 * 300 * 4);
}

TEST(Autograd, BackwardFreesTheTape) {
  const Tensor w = leaf(Tensor::zeros({200, 200}));
  const int64_t before = memory_stats().current;
  Tensor loss;
  {
    Tensor x = Tensor::zeros({200, 200});
    for (int i = 0; i < 5; ++i) x = dense(x, w, {});
    loss = sum(x);
  }
  backward(loss);
  // What is left is the gradient of w and the loss.
  EXPECT_LE(memory_stats().current - before, 200 * 200 * 4 * 5 / 4 + 1024);
}

TEST(Autograd, RefusesATapeThatIsUsedUp) {
  const Tensor x = leaf(Tensor::full({1}, 3));
  const Tensor loss = sum(x * x);
  backward(loss);
  const auto used_up = [](const Tensor& again) {
    return message_of([&] { backward(again); }).find("compute the loss again") != std::string::npos;
  };
  EXPECT_TRUE(used_up(loss));
  const Tensor part = x * x;
  backward(sum(part));
  EXPECT_TRUE(used_up(sum(part + x)));
  EXPECT_FALSE(used_up(sum(x * x)));
}

TEST(Autograd, ALeafIsItsOwnLoss) {
  const Tensor x = leaf(Tensor::full({1}, 3));
  backward(x);
  backward(x);
  EXPECT_EQ(x.grad().data()[0], 2);
}

TEST(Autograd, RefusesALossThatIsNotOne) {
  EXPECT_THROW(backward(leaf(Tensor::zeros({2}))), Error);
  EXPECT_THROW(backward(Tensor::zeros({1})), Error);
}

}  // namespace
}  // namespace fettle
