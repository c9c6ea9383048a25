// The copies of weights in bf16 that tensors keep.
#if defined(FETTLE_CUDA)

#include <gtest/gtest.h>

#include <array>
#include <latch>
#include <optional>
#include <thread>

#include "engine/autograd.h"
#include "engine/cuda_graph.h"
#include "engine/ops/arithmetic.h"
#include "engine/ops/cast.h"
#include "engine/ops/conv2d.h"
#include "engine/ops/reduce.h"
#include "engine/random.h"
#include "engine/train/optimizer.h"
#include "engine/train/step_graph.h"
#include "kernels/conv2d/plan.h"
#include "kernels/elementwise/elementwise.h"
#include "tests/random_values.h"

namespace fettle {
namespace {

class RoundedWeights : public testing::Test {
 protected:
  void SetUp() override {
    if (gpu_compute_capability() < 80) GTEST_SKIP() << "no GPU of sm_80";
  }
  void TearDown() override { set_gpu_precision(Precision::fp32); }

  static Tensor tensor(const Shape& shape, uint32_t seed) {
    const Array<> values = random_values(shape.size(), seed);
    return Tensor::from(shape, std::span<const float>(values), Device::cuda());
  }
  /// What lies there, as many numbers as `like` has elements.
  static std::vector<float> values_at(const bf16* from, const Tensor& like) {
    Tensor wide = Tensor::empty(like.shape(), DType::f32, like.device());
    on(like.device(), [&](auto device) {
      if constexpr (std::is_same_v<decltype(device), Cuda>)
        convert(device, like.size(), from, wide.data());
    });
    return wide.to_vector();
  }
  static std::vector<float> rounding_of(const Tensor& w) {
    return as_f32(cast(w.detach(), DType::bf16)).to_vector();
  }
};

TEST_F(RoundedWeights, FollowTheElements) {
  Tensor w = tensor({3, 5, 7}, 1);
  const bf16* const place = w.rounded();
  EXPECT_EQ(values_at(place, w), rounding_of(w));
  EXPECT_EQ(w.detach().rounded(), place);
  // What is right is not made again: scribbles stay.
  const Tensor scribble = tensor({3, 5, 7}, 9);
  on(w.device(), [&](auto device) {
    if constexpr (std::is_same_v<decltype(device), Cuda>)
      convert(device, w.size(), scribble.data(), const_cast<bf16*>(place));
  });
  EXPECT_EQ(values_at(w.rounded(), w), rounding_of(scribble));
  w.fill(0.3f);
  EXPECT_EQ(values_at(w.rounded(), w), rounding_of(w));
  w.copy_from(tensor({3, 5, 7}, 2));
  EXPECT_EQ(values_at(w.rounded(), w), rounding_of(w));
  EXPECT_EQ(w.rounded(), place);
  EXPECT_THROW(Tensor::full({2}, 1).rounded(), Error);
}

TEST_F(RoundedWeights, AreMadeOnceWhicheverThreadAsksFirst) {
  for (uint32_t round = 0; round < 200; ++round) {
    const Tensor w = tensor({5, 7}, round);
    std::array<const bf16*, 3> places{};
    std::latch start(std::ssize(places));
    {
      std::vector<std::jthread> threads;
      for (const bf16*& place : places)
        threads.emplace_back([&] {
          start.arrive_and_wait();
          place = w.rounded();
        });
    }
    for (const bf16* place : places) ASSERT_EQ(place, w.rounded()) << round;
    ASSERT_EQ(values_at(w.rounded(), w), rounding_of(w)) << round;
  }
}

TEST_F(RoundedWeights, AreWrittenByTheOptimisersStep) {
  for (const char* name : {"sgd", "momentum", "adamw"}) {
    // 4099 elements: more than a block's chunk, and no whole number of vectors.
    Tensor used = tensor({4099}, 1), never_asked_for = tensor({9}, 2);
    used.set_requires_grad(true);
    never_asked_for.set_requires_grad(true);
    const bf16* const place = used.rounded();
    OptimizerOptions options;
    const bool momentum = name == std::string("momentum");
    options.name = momentum ? "sgd" : name;
    options.momentum = momentum ? 0.9f : 0;
    const auto optimizer = make_optimizer(
        options, {{"used", used, true, true}, {"never", never_asked_for, true, true}});
    const std::vector<float> before = values_at(place, used);
    backward(sum(used * used) + sum(never_asked_for * never_asked_for));
    optimizer->step();
    EXPECT_EQ(values_at(place, used), rounding_of(used)) << name;
    EXPECT_NE(values_at(place, used), before) << name;
    EXPECT_EQ(values_at(never_asked_for.rounded(), never_asked_for), rounding_of(never_asked_for));
  }
}

TEST_F(RoundedWeights, AreRightInACapturedGraphWhoeverWroteTheElements) {
  set_gpu_precision(Precision::bf16);
  const NoGrad no_grad;
  const Tensor x = tensor({1, 6, 7, 8}, 1);
  Tensor w = tensor({16, 3, 3, 8}, 2);
  const auto run = [&] { return as_f32(conv2d(x, w, {}, {})); };
  run();
  Tensor y;
  CudaGraph graph(Device::cuda());
  graph.capture([&] { y = run(); });
  graph.launch();
  EXPECT_EQ(y.to_vector(), run().to_vector());
  w.copy_from(tensor({16, 3, 3, 8}, 3));
  graph.launch();
  EXPECT_EQ(y.to_vector(), run().to_vector());
}

TEST_F(RoundedWeights, AreRightInACapturedTrainingStep) {
  set_gpu_precision(Precision::bf16);
  const Batch batch = {tensor({2, 6, 7, 8}, 1), tensor({2}, 5), {}};
  const auto train = [&](bool captured) {
    Tensor w = tensor({16, 3, 3, 8}, 2);
    w.set_requires_grad(true);
    const auto optimizer = make_optimizer({}, {{"w", w, true, true}});
    const auto step = [&](const Batch& b) -> StepResult {
      const Tensor y = as_f32(conv2d(b.x, w, {}, {})), loss = sum(y * y);
      backward(loss);
      optimizer->step();
      return {y, b.y, loss};
    };
    std::vector<float> losses;
    std::optional<StepGraph> graph;
    for (uint32_t i = 0; i < 5; ++i) {
      const TrainingScope training(1, i);
      if (i == 3) w.copy_from(tensor({16, 3, 3, 8}, 7));
      if (i == 1 && captured) graph.emplace(Device::cuda(), batch, step);
      losses.push_back((graph ? graph->run(batch) : step(batch)).loss.item());
    }
    for (const float value : values_at(w.rounded(), w)) losses.push_back(value);
    EXPECT_EQ(values_at(w.rounded(), w), rounding_of(w));
    return losses;
  };
  EXPECT_EQ(train(true), train(false));
}

TEST_F(RoundedWeights, AreMadeByAGraphThatIsTheFirstToAsk) {
  set_gpu_precision(Precision::bf16);
  const NoGrad no_grad;
  const Tensor x = tensor({1, 6, 7, 8}, 1);
  Tensor w = tensor({16, 3, 3, 8}, 2), y;
  CudaGraph graph(Device::cuda());
  graph.capture([&] { y = as_f32(conv2d(x, w, {}, {})); });
  for (const uint32_t seed : {3u, 4u}) {
    w.copy_from(tensor({16, 3, 3, 8}, seed));
    graph.launch();
    EXPECT_EQ(y.to_vector(), as_f32(conv2d(x, w, {}, {})).to_vector()) << seed;
  }
}

}  // namespace
}  // namespace fettle

#endif
