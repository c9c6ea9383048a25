// Batch-norm with what follows it, in one pass: the results of PyTorch, the gradients of every
// way through, and no memory for what nobody reads.
#include "engine/ops/batch_norm_fusion.h"

#include "engine/ops/activation.h"
#include "engine/ops/arithmetic.h"
#include "engine/ops/batch_norm.h"
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

}  // namespace
}  // namespace fettle
