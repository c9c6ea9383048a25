// Every model as a network that only predicts, beside the model itself.
#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

#include "engine/autograd.h"
#include "engine/inference/compile.h"
#include "engine/inference/plan.h"
#include "io/single_file.h"
#include "layers/batch_normalization.h"
#include "layers/conv2d.h"
#include "layers/conv2d_transpose.h"
#include "layers/dense.h"
#include "layers/elementwise.h"
#include "layers/pooling.h"
#include "layers/sequential.h"
#include "models/model.h"
#include "tests/io/small_model.h"
#include "tests/models/spread.h"
#include "tests/random_values.h"

namespace fettle::inference {
namespace {

Tensor pixels(const Shape& shape, uint32_t seed) {
  Tensor x = Tensor::empty(shape);
  const Array<> normal = random_values(x.size(), seed);
  for (int64_t i = 0; i < x.size(); ++i)
    x.data()[i] = std::clamp(128 + 60 * normal[static_cast<size_t>(i)], 0.0f, 255.0f);
  return x;
}

std::vector<float> run(Session& session, const Tensor& x) {
  std::copy_n(x.data(), x.size(), session.input());
  const float* y = session.run();
  return {y, y + session.plan().output().size()};
}

std::vector<float> predict(const Network& network, const Tensor& x, PlanOptions options = {}) {
  options.threads = 2, options.pictures = x.shape()[0];
  Session session(std::make_shared<PlannedNetwork>(
      network, plan(network, x.shape()[1], x.shape()[2], options)));
  return run(session, x);
}

void expect_equal(const std::vector<float>& ours, const std::vector<float>& model, double most,
                  const std::string& what) {
  ASSERT_EQ(ours.size(), model.size()) << what;
  float largest = 0;
  for (const float value : model) largest = std::max(largest, std::abs(value));
  ASSERT_GT(largest, 1e-3f) << what << ": the model says nothing";
  for (size_t i = 0; i < ours.size(); ++i)
    ASSERT_NEAR(ours[i], model[i], most * std::max(1.0f, largest)) << what << ", number " << i;
}

// Of a deep network whose convolutions go Winograd's way on both sides, with other weights.
constexpr double rounding = 5e-5;

std::vector<float> probabilities(std::vector<float> logits) {
  for (float& value : logits) value = 1 / (1 + std::exp(-value));
  return logits;
}

std::unique_ptr<Layer> built(const ModelEntry& entry, const ModelOptions& options,
                             const Shape& shape) {
  std::unique_ptr<Layer> model = entry.make(options);
  build(*model, shape, 5);
  set_spread_weights(named_tensors(*model),
                     [](const NamedTensor& t) { return t.tensor.size() / t.tensor.shape()[0]; });
  return model;
}

const PlanOptions on_gpu = {.device = Device::cuda()};

size_t count(const Network& network, Operation operation) {
  return static_cast<size_t>(
      std::count_if(network.steps.begin(), network.steps.end(),
                    [&](const Step& step) { return step.operation == operation; }));
}

TEST(Inference, EveryModelPredictsTheSame) {
  const NoGrad no_grad;
  for (const ModelEntry& entry : model_entries()) {
    // The code of resnet50, so deep that these weights let rounding grow beyond any bound.
    if (entry.name.starts_with("resnet101") || entry.name.starts_with("resnet152")) continue;
#ifdef __SANITIZE_ADDRESS__
    if (entry.name.starts_with("resnet") && entry.name != "resnet50") continue;  // it takes long
#endif
    for (const bool of_batch : {false, true}) {
      ModelOptions options{.classes = 3};
      if (of_batch) options.bn_statistics = BatchNormalization::Statistics::Batch;
      const int64_t extent = 64;
      const Shape shape = {1, extent, extent + 32, entry.channels};
      const std::unique_ptr<Layer> model = built(entry, options, shape);
      const Network network = compile(graph_of(*model, shape));
      if (!of_batch && entry.name != "res_unet") {  // whose first stage has ReLU before batch-norm
        EXPECT_EQ(count(network, Operation::batch_norm), 0u) << entry.name;
        const bool adds = entry.name == "unet_xception";  // after a pooling
        EXPECT_EQ(count(network, Operation::add) > 0, adds) << entry.name;
      }
      Tensor x = pixels(shape, 1);
      if (entry.standardize)
        for (int64_t i = 0; i < x.size(); ++i) x.data()[i] = (x.data()[i] - 128) / 60;
      const std::vector<float> wanted = (*model)(x).to_vector();
      expect_equal(predict(network, x), wanted, rounding, entry.name);

      // And from a file, in both storages.
      SingleFile file;
      file.segments = entry.task == Task::segmentation;
      file.height = shape[1], file.width = shape[2];
      file.multiple = entry.multiple;
      file.class_names = {"a", "b", "c"};
      file.network = network;
      for (const Storage storage : {Storage::f32, Storage::f16}) {
        const std::vector<uint8_t> bytes = to_bytes(file, storage);
        const SingleFile read = read_single_file("a test", bytes);
        const std::vector<float> logits = predict(read.network, x);
        if (storage == Storage::f32) {
          expect_equal(logits, wanted, rounding, entry.name + " from a file");
        } else if (!of_batch) {  // a picture's own statistics enlarge what was rounded
          expect_equal(probabilities(logits), probabilities(wanted), 1e-2, entry.name + " in fp16");
        }
      }
    }
  }
}

TEST(Inference, SegmentersHoldForOtherSizes) {
  const NoGrad no_grad;
  for (const ModelEntry& entry : model_entries()) {
    if (entry.task != Task::segmentation) continue;
    const std::unique_ptr<Layer> model = built(entry, {}, {1, 64, 64, entry.channels});
    const Network network = compile(graph_of(*model, {2, 64, 64, entry.channels}));
    const Shape other = {2, 48, 80, entry.channels};
    EXPECT_TRUE(agree(network, compile(graph_of(*model, other)), 48, 80));
    const Tensor x = pixels(other, 2);
    const std::vector<float> wanted = (*model)(x).to_vector();
    expect_equal(predict(network, x), wanted, rounding, entry.name);
    expect_equal(predict(network, x, {.pack_weights = false}), wanted, rounding,
                 entry.name + ", weights not packed");
  }
}

/// A model of the operations that those above lack.
TEST(Inference, FoldsWhatItMayAndNothingElse) {
  const NoGrad no_grad;
  Sequential model(Rescaling(1 / 127.5f, -1), Conv2D(6, 3, {.padding = Padding::same}),
                   BatchNormalization(), ReLU(), BatchNormalization(),
                   Conv2DTranspose(5, 3, {.strides = {2, 2}, .padding = Padding::same}),
                   BatchNormalization(),
                   Conv2D(4, 2, {.strides = {2, 2}, .activation = Activation::swish}),
                   AveragePooling2D(), Flatten(), Dense(7), BatchNormalization(), Dense(3));
  const Shape shape = {1, 15, 22, 3};
  build(model, shape, 3);
  set_spread_weights(named_tensors(model),
                     [](const NamedTensor& t) { return t.tensor.size() / t.tensor.shape()[0]; });
  const Network network = compile(graph_of(model, shape));
  EXPECT_EQ(count(network, Operation::batch_norm), 1u);  // the one after the ReLU
  EXPECT_EQ(count(network, Operation::rescale), 1u);     // its offset does not pass a border
  EXPECT_EQ(count(network, Operation::unary), 1u);
  const Tensor x = pixels(shape, 3);
  const std::vector<float> wanted = model(x).to_vector();
  expect_equal(predict(network, x), wanted, 1e-5, "the model");
  expect_equal(predict(network, x, on_gpu), wanted, 1e-5, "the model on the GPU");
}

TEST(Inference, MemoryIsUsedAgain) {
  const ModelEntry& entry = model_entry("res_unet");
  const std::unique_ptr<Layer> model = built(entry, {.width = 16}, {1, 64, 64, 1});
  const Network network = compile(graph_of(*model, {1, 64, 64, 1}));
  const Plan whole = plan(network, 256, 256, {});
  int64_t all = 0;
  for (const BoundStep& step : whole.steps) all += step.output.size();
  EXPECT_LT(whole.floats, all * 3 / 10);
  // The widest moment, in the last block: the skip, what its inner convolution reads, and the
  // shortcut's share of the picture below, small and enlarged. Nothing is joined.
  EXPECT_EQ(count(network, Operation::concatenate), 0u);
  EXPECT_EQ(whole.floats, int64_t{256} * 256 * (16 + 16 + 16 / 4 + 16));
}

TEST(Inference, PicturesGoThroughTheNetworkInGroups) {
  const NoGrad no_grad;
  const auto check = [](const std::string& name, const ModelOptions& options, int64_t extent,
                        int64_t pictures, int64_t together, const PlanOptions& on = {}) {
    const ModelEntry& entry = model_entry(name);
    const Shape shape = {1, extent, extent, entry.channels};
    const std::unique_ptr<Layer> model = built(entry, options, shape);
    const Network network = compile(graph_of(*model, shape));
    PlanOptions plan_options = on;
    plan_options.pictures = pictures;
    const Plan p = plan(network, extent, extent, plan_options);
    EXPECT_EQ(p.together, together) << name;
    EXPECT_EQ(p.output()[0], pictures);

    const Tensor x = pixels({pictures, extent, extent, entry.channels}, 7);
    std::vector<float> wanted;
    for (int64_t i = 0; i < pictures; ++i) {
      Tensor one = Tensor::empty(shape);
      std::copy_n(x.data() + i * one.size(), one.size(), one.data());
      const std::vector<float> y = (*model)(one).to_vector();
      wanted.insert(wanted.end(), y.begin(), y.end());
    }
    Session session(std::make_shared<PlannedNetwork>(network, p));
    for (int i = 0; i < 2; ++i) expect_equal(run(session, x), wanted, 3e-4, entry.name);
  };
  check("res_unet", {.width = 4}, 64, 5, 1);    // its pictures write more than it has weights
  check("res_unet", {.width = 16}, 32, 11, 6);  // the second group begins one picture earlier
  check("res_unet", {.width = 16}, 32, 5, 5);   // too few for two groups
  check("res_unet", {.width = 4}, 32, 2, 2, on_gpu);
  ModelOptions own_statistics{.width = 4};
  own_statistics.bn_statistics = BatchNormalization::Statistics::Batch;
  check("res_unet", own_statistics, 32, 2, 1);
  check("res_unet", own_statistics, 32, 2, 1, on_gpu);
}

/// The first run packs weights one after another in one place, the second all of them to stay.
TEST(Inference, EveryRunHasTheSameBitsAndTheFirstNeedsLittleMemory) {
  const ModelEntry& entry = model_entry("res_unet");
  const std::unique_ptr<Layer> model = built(entry, {}, {1, 32, 32, 1});
  const Network network = compile(graph_of(*model, {1, 32, 32, 1}));
  const Tensor x = pixels({1, 32, 32, 1}, 5);
  const std::vector<float> wanted = predict(network, x);

  const auto planned = std::make_shared<PlannedNetwork>(network, plan(network, 32, 32, {}));
  std::vector<size_t> convolutions;
  for (size_t i = 0; i < planned->plan().packed.size(); ++i)
    if (planned->plan().packed[i] != absent) convolutions.push_back(i);
  const auto places = [&] {
    std::set<const float*> all;
    for (const size_t i : convolutions) all.insert(planned->packed(i));
    return all.size();
  };
  ASSERT_GT(convolutions.size(), 20u);
  EXPECT_EQ(places(), 1u);
  Session session(planned);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(run(session, x), wanted) << i;
    EXPECT_EQ(places(), i == 0 ? 1u : convolutions.size());
  }
}

TEST(Inference, SessionsThatBeginTogetherShareTheirWeights) {
  const Network network = small_segmenter().network;
  const NoGrad no_grad;
  const Tensor x = pixels({1, 48, 32, 3}, 6);
  const std::vector<float> wanted = predict(network, x);
  for (int round = 0; round < 20; ++round) {
    const auto planned = std::make_shared<PlannedNetwork>(network, plan(network, 48, 32, {}));
    std::atomic<int> equal{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
      threads.emplace_back([&] {
        Session session(planned);
        for (int k = 0; k < 3; ++k) equal += run(session, x) == wanted;
      });
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(equal, 12);
  }
}

// What these models lack is in FoldsWhatItMayAndNothingElse.
TEST(Inference, AGpuPredictsAsTheCpuDoes) {
  const NoGrad no_grad;
  for (const ModelEntry& entry : model_entries()) {
    const bool resnet = entry.name.starts_with("resnet"), wide = entry.name == "unet_xception";
    if (resnet && !entry.name.starts_with("resnet18") && !entry.name.starts_with("resnet50"))
      continue;
    for (const bool of_batch : {false, true}) {
      if (of_batch && entry.name != "defect_cnn" && entry.name != "res_unet") continue;
      ModelOptions options{.classes = 3};
      if (resnet || entry.name == "res_unet") options.width = 4;
      if (of_batch) options.bn_statistics = BatchNormalization::Statistics::Batch;
      const Shape shape = {of_batch || wide ? 1 : 2, 32, wide ? 32 : 48, entry.channels};
      const std::unique_ptr<Layer> model = built(entry, options, shape);
      const Network network = compile(graph_of(*model, shape));
      const Tensor x = pixels(shape, 4);
      // The CPU forms a picture's own statistics by longer sums in fp32 than a GPU does.
      expect_equal(predict(network, x, on_gpu), predict(network, x), of_batch ? 3e-4 : rounding,
                   entry.name);
    }
  }
}

TEST(Inference, SessionsOnOneGpuWaitForEachOther) {
  const Network network = small_segmenter().network;
  const auto planned = std::make_shared<PlannedNetwork>(network, plan(network, 16, 16, on_gpu));
  std::atomic<int> equal{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i)
    threads.emplace_back([&, i] {
      const NoGrad no_grad;
      Session session(planned);
      for (int round = 0; round < 3; ++round) {
        const Tensor x = pixels({1, 16, 16, 3}, static_cast<uint32_t>(10 * i + round));
        equal += run(session, x) == predict(network, x, on_gpu);
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(equal, 6);
}

TEST(Inference, AGpusMemoryIsWhatThePlanSays) {
  const Network network = small_segmenter().network;
  const auto used = [] {
    const cuda::MemoryInfo info = cuda::memory_info(0);
    return static_cast<int64_t>(info.total - info.free);
  };
  const int64_t before = used();
  {
    const auto planned = std::make_shared<PlannedNetwork>(network, plan(network, 64, 32, on_gpu));
    const Session session(planned);
    const Plan& p = planned->plan();
    EXPECT_NEAR(static_cast<double>(used() - before),
                static_cast<double>((p.floats + p.constant_floats) * 4), 2048);
    EXPECT_EQ(p.bytes(), (p.floats + p.constant_floats + p.host_floats) * 4);
  }
  EXPECT_EQ(used(), before);
  // Larger than the GPU is, and another GPU than there is.
  const auto session_of = [&](int64_t extent, Device device) {
    Session(std::make_shared<PlannedNetwork>(network, plan(network, extent, extent, {device})));
  };
  EXPECT_THROW(session_of(1 << 14, Device::cuda()), std::bad_alloc);
  EXPECT_THROW(session_of(16, Device::cuda(7)), Error);
  EXPECT_EQ(used(), before);
}

}  // namespace
}  // namespace fettle::inference
