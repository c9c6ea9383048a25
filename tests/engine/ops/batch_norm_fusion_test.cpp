// Batch-norm with what follows it, in one pass: the results of PyTorch, the gradients of every
// way through, and no memory for what nobody reads.
#include "engine/ops/batch_norm_fusion.h"

#include "engine/ops/activation.h"
#include "engine/ops/arithmetic.h"
#include "engine/ops/batch_norm.h"
#include "engine/ops/cast.h"
#include "engine/ops/conv2d.h"
#include "engine/ops/dense.h"
#include "engine/ops/reduce.h"
#include "engine/ops/reshape.h"
#include "kernels/conv2d/plan.h"
#include "tests/gradient_check.h"
#include "tests/stored_values.h"

namespace fettle {
namespace {

/// A batch-norm of stored numbers or, where it has none, a plain tensor.
struct StoredTerm {
  StoredTerm(const nlohmann::json& stored, const nlohmann::json& shape)
      : stored(stored), x(leaf(stored_tensor(shape, stored["x"]))) {
    if (!stored.contains("gamma")) return;
    gamma = leaf(stored_tensor({6}, stored["gamma"]));
    beta = leaf(stored_tensor({6}, stored["beta"]));
    mean = stored_tensor({6}, stored["mean"]);
    variance = stored_tensor({6}, stored["variance"]);
  }
  Tensor value(bool training) {
    if (!gamma.defined()) return x;
    return training ? batch_norm_training(x, gamma, beta, 1e-3f, mean, variance)
                    : batch_norm_inference(x, gamma, beta, mean, variance, 1e-3f);
  }
  void expect_gradients(const std::string& what) const {
    expect_equal(x.grad(), stored["dx"], what + "dx");
    if (!gamma.defined()) return;
    expect_equal(gamma.grad(), stored["dgamma"], what + "dgamma");
    expect_equal(beta.grad(), stored["dbeta"], what + "dbeta");
  }
  nlohmann::json stored;
  Tensor x, gamma, beta, mean, variance;
};

TEST(BatchNormFusion, EqualsPyTorch) {
  const auto stored = stored_values("batch_norm_fusion.json");
  for (const auto& c : stored["cases"]) {
    const bool training = c["training"];
    const std::string what =
        cat("second ", c["second"], ", relu ", c["relu"], ", training ", training, ": ");
    for (const bool swapped : {false, true}) {
      std::vector<StoredTerm> terms;
      for (const auto& term : c["terms"]) terms.emplace_back(term, stored["shape"]);
      Tensor y = terms[0].value(training);
      EXPECT_TRUE(y.pending()) << what;
      if (terms.size() == 2) {
        const Tensor other = terms[1].value(training);
        y = swapped ? other + y : y + other;
        EXPECT_TRUE(y.pending()) << what;
      }
      if (c["relu"]) y = relu(y);
      expect_equal(y, c["y"], what + "y");
      backward_with(y, stored_tensor(stored["shape"], c["dy"]));
      for (const StoredTerm& term : terms) term.expect_gradients(what);
    }
  }
}

Tensor norm(const Tensor& x, const Tensor& gamma, const Tensor& beta) {
  Tensor mean, variance;
  return batch_norm_training(x, gamma, beta, 1e-3f, mean, variance);
}

// Neighbours of a kink would spoil the central differences.
Tensor spread_tensor(uint32_t seed) {
  return rescale(random_tensor({8, 3}, seed), 3);
}

TEST(BatchNormFusion, GradientsOfAllWaysThroughAreTheNumericalOnes) {
  const std::vector<Tensor> inputs = {spread_tensor(1), random_tensor({3}, 2),
                                      random_tensor({3}, 3), spread_tensor(4)};
  // Read by ReLU, by a sum and by a product.
  expect_gradients(
      [](const std::vector<Tensor>& in) {
        const Tensor y = norm(in[0], in[1], in[2]);
        const Tensor sum = y + in[3];
        return relu(sum) + swish(sum) * relu(y) + y * y;
      },
      inputs, 1e-2, 1e-3f);
  // The same numbers twice, and more than two terms.
  expect_gradients(
      [](const std::vector<Tensor>& in) {
        const Tensor y = norm(in[0], in[1], in[2]);
        return (y + y) + (norm(in[3], in[1], in[2]) + swish(y)) + norm(y, in[2], in[1]);
      },
      inputs, 1e-2, 1e-3f);
}

TEST(BatchNormFusion, FrozenPartsGetNoGradientAndTheOthersTheSame) {
  const Tensor x = random_tensor({9, 4}, 1), t = random_tensor({9, 4}, 2);
  const Tensor gamma = random_tensor({4}, 3), beta = random_tensor({4}, 4);
  const Tensor mean = random_tensor({4}, 5), variance = Tensor::full({4}, 2, test_device());
  const Tensor dy = random_tensor({9, 4}, 6);
  const auto gradients = [&](unsigned wanted, bool training) {
    std::vector<Tensor> leaves = {x.clone(), gamma.clone(), beta.clone(), t.clone()};
    for (size_t i = 0; i < 4; ++i) leaves[i].set_requires_grad(wanted >> i & 1);
    const Tensor y =
        training ? norm(leaves[0], leaves[1], leaves[2])
                 : batch_norm_inference(leaves[0], leaves[1], leaves[2], mean, variance, 1e-3f);
    backward_with(relu(y + leaves[3]), dy);
    std::vector<Tensor> out;
    for (const Tensor& one : leaves) out.push_back(one.grad());
    return out;
  };
  for (const bool training : {false, true}) {
    const std::vector<Tensor> all = gradients(15, training);
    for (unsigned wanted = 1; wanted < 15; ++wanted) {
      const std::vector<Tensor> some = gradients(wanted, training);
      for (size_t i = 0; i < 4; ++i) {
        ASSERT_EQ(some[i].defined(), (wanted >> i & 1) != 0) << wanted << ", input " << i;
        if (wanted >> i & 1) {
          EXPECT_EQ(some[i].to_vector(), all[i].to_vector()) << wanted;
        }
      }
    }
  }
}

/// Batch-norm takes the mean away, and the bias before it with it: where nothing else reads the
/// biased tensor, its gradient is zero without being formed.
TEST(BatchNormFusion, ABiasBeforeItGetsZerosUnlessSomethingElseReadsIt) {
  const Tensor x = random_tensor({2, 4, 6, 3}, 1), w = random_tensor({6, 1, 1, 3}, 2);
  const Tensor gamma = random_tensor({96}, 4), beta = random_tensor({96}, 5);
  const auto normalised = [&](const Tensor& y, const Shape& shape) {
    const Tensor view = reshape(y, shape);
    const Shape columns = {view.shape()[-1]};
    const auto some = [&](const Tensor& t) {
      const std::vector<float> all = t.to_vector();
      return Tensor::from(columns, std::vector<float>(all.begin(), all.begin() + columns.size()),
                          test_device());
    };
    return reshape(norm(view, some(gamma), some(beta)), y.shape());
  };
  const Tensor r = random_tensor({2, 4, 6, 6}, 6);
  for (const Shape& shape : {Shape{2, 4, 6, 6}, Shape{4, 6, 12}}) {  // 12 columns become 6
    for (const bool product : {false, true}) {
      const Tensor b = leaf(random_tensor({6}, 3));
      const Tensor y =
          product ? dense(reshape(x, {48, 3}), reshape(w, {6, 3}), b, {}) : conv2d(x, w, b, {});
      backward(sum(normalised(y, shape) * reshape(r, y.shape())));
      EXPECT_EQ(b.grad().to_vector(), std::vector<float>(6, 0.0f)) << shape << ", " << product;
    }
  }
  // 3 columns of zero sum say nothing about 6, and nor do all of them where others add to them.
  for (const bool halves : {true, false}) {
    expect_gradients(
        [&](const std::vector<Tensor>& in) {
          const Tensor y = conv2d(x, w, in[0], {});
          return halves ? normalised(y, {2, 4, 12, 3}) : normalised(y, {2, 4, 6, 6}) + y * y;
        },
        {random_tensor({6}, 3)}, 1e-2);
  }
}

TEST(BatchNormFusion, KeepsNeitherTheNormalisedTensorNorTheSum) {
  const Shape shape = {64, 256};
  const auto bytes = static_cast<int64_t>(shape.size() * sizeof(float));
  const Tensor x = leaf(random_tensor(shape, 1)), t = leaf(random_tensor(shape, 2));
  const Tensor gamma = leaf(random_tensor({256}, 3)), beta = leaf(random_tensor({256}, 4));
  const int64_t before = memory_stats(test_device()).current;
  reset_peak_memory(test_device());
  const Tensor y = relu(norm(x, gamma, beta) + t);
  EXPECT_GE(memory_stats(test_device()).current - before, bytes);
  EXPECT_LT(memory_stats(test_device()).peak - before, bytes * 3 / 2);
}

TEST(BatchNormFusion, APendingTensorIsComputedOnceByWhoeverReadsIt) {
  const Tensor x = random_tensor({5, 3}, 1);
  const Tensor gamma = random_tensor({3}, 2), beta = random_tensor({3}, 3);
  const Tensor y = norm(x, gamma, beta), other = y, plain = y.detach();
  const float* elements = y.data();
  EXPECT_FALSE(other.pending());
  EXPECT_EQ(other.data(), elements);
  EXPECT_EQ(plain.data(), elements);
  EXPECT_EQ(norm(x, gamma, beta).view({15}).to_vector(), y.to_vector());
  EXPECT_EQ(norm(x, gamma, beta).clone().to_vector(), y.to_vector());
  EXPECT_EQ(norm(x, gamma, beta).to(Device::cpu()).to_vector(), y.to_vector());
}

#if defined(FETTLE_CUDA)
/// Before batch-norm a convolution waits to be computed along with its statistics: the same as one
/// that was read before.
TEST(BatchNormFusion, AConvolutionOnAGpuIsComputedWithItsStatistics) {
  if (gpu_compute_capability() < 80) GTEST_SKIP() << "no GPU of sm_80";
  for (const Precision precision : {Precision::fp32, Precision::tf32, Precision::bf16}) {
    set_gpu_precision(precision);
    const auto on_gpu = [](const Shape& shape, uint32_t seed) {
      return random_tensor(shape, seed).to(Device::cuda());
    };
    const auto run = [&](bool read_before) {
      const std::vector<Tensor> leaves = {leaf(on_gpu({2, 7, 9, 16}, 1)),
                                          leaf(on_gpu({24, 3, 3, 16}, 2)), leaf(on_gpu({24}, 3)),
                                          leaf(on_gpu({24}, 4)), leaf(on_gpu({24}, 5))};
      Tensor moving_mean = on_gpu({24}, 6), moving_variance = Tensor::full({24}, 1, Device::cuda());
      const MovingStatistics moving = {moving_mean, moving_variance, 0.9f};
      Tensor mean, variance;
      const Tensor x = conv2d(leaves[0], leaves[1], leaves[2], {});
      EXPECT_TRUE(x.pending());
      if (read_before) x.compute();
      const Tensor y = batch_norm_training(x, leaves[3], leaves[4], 1e-3f, mean, variance, moving);
      EXPECT_FALSE(x.pending());
      const Tensor activated = as_f32(relu(y));
      backward(sum(activated * on_gpu(activated.shape(), 7)));
      std::vector<Tensor> all = {as_f32(x), activated,   mean,
                                 variance,  moving.mean, moving.variance};
      for (const Tensor& each : leaves) all.push_back(each.grad());
      return all;
    };
    const std::vector<Tensor> with = run(false), apart = run(true);
    EXPECT_EQ(with[0].to_vector(), apart[0].to_vector());
    for (size_t i = 1; i < with.size(); ++i) {
      EXPECT_LT(relative_error(with[i].to_vector(), apart[i].to_vector()), 1e-4)
          << static_cast<int>(precision) << ", " << i;
    }
  }
  set_gpu_precision(Precision::fp32);
}

TEST(BatchNormFusion, OnlyAConvolutionThatIsTrainedAndLinearWaits) {
  if (gpu_compute_capability() < 80) GTEST_SKIP() << "no GPU of sm_80";
  const auto on_gpu = [](const Shape& shape, uint32_t seed) {
    return random_tensor(shape, seed).to(Device::cuda());
  };
  const Tensor x = on_gpu({1, 5, 6, 4}, 1), w = leaf(on_gpu({8, 3, 3, 4}, 2));
  const Tensor expected = conv2d(x.to(Device::cpu()), w.to(Device::cpu()), {}, {});
  EXPECT_FALSE(expected.pending());
  EXPECT_FALSE(conv2d(x, w, {}, {.epilogue = Epilogue::relu}).pending());
  {
    const NoGrad no_grad;
    EXPECT_FALSE(conv2d(x, w, {}, {}).pending());
  }
  // Frozen, it is computed when the normalised tensor is.
  const Tensor one = Tensor::full({8}, 1, Device::cuda()),
               zero = Tensor::zeros({8}, DType::f32, Device::cuda());
  const Tensor y = conv2d(x, w, {}, {});
  const Tensor normalised = batch_norm_inference(y, one, zero, zero, one, 0);
  EXPECT_TRUE(y.pending());
  EXPECT_LT(relative_error(normalised.to_vector(), expected.to_vector()), 1e-6);
  EXPECT_FALSE(y.pending());
}
#endif

}  // namespace
}  // namespace fettle
