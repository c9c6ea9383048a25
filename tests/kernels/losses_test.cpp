#include "kernels/losses/losses.h"

#include <gtest/gtest.h>

#include "tests/kernel_check.h"

namespace fettle {
namespace {

TEST(CrossEntropyKernels, EqualTheDefinition) {
  const Array<> dloss = {1.7f};
  for (const auto& [N, K] : {std::pair<int64_t, int64_t>{1, 2}, {7, 5}, {1000, 3}}) {
    const Array<> z = random_values(N * K, 1), t = random_values(N * K, 2);
    Array<int32_t> labels;
    for (int64_t n = 0; n < N; ++n) labels.push_back(static_cast<int32_t>((n * 7 + 1) % K));
    const Array<> weights = {0.5f, 2, 1, 3, 0.25f};
    for (const auto& [smoothing, gamma] :
         {std::pair{0.0f, 0.0f}, {0.2f, 0.0f}, {0.0f, 2.0f}, {0.2f, 0.5f}}) {
      const CategoricalShape s{N, K, smoothing, gamma};
      expect_same(
          [&](auto device) {
            Arrays out = {unwritten(N), unwritten(N), unwritten(N * K)};
            categorical_cross_entropy_forward(device, s, z.data(), labels.data(), nullptr,
                                              out[0].data());
            categorical_cross_entropy_forward(device, s, z.data(), labels.data(), weights.data(),
                                              out[1].data());
            categorical_cross_entropy_backward(device, s, z.data(), labels.data(), weights.data(),
                                               dloss.data(), out[2].data());
            return out;
          },
          "categorical", 1e-6);
      const Array<> pairs = {0.5f, 2, 1, 3, 0.25f, 1.5f, 0.75f, 4, 1.25f, 0.1f};
      Array<> targets;
      for (float value : t) targets.push_back(value > 0 ? 1.0f : 0.0f);
      for (const auto& [labels, binary_weights] :
           {std::pair{int64_t{1}, static_cast<const float*>(nullptr)},
            {int64_t{1}, pairs.data()},
            {K, pairs.data()}}) {
        const BinaryShape b{N * K, labels, smoothing, gamma};
        expect_same(
            [&](auto device) {
              Arrays out = {unwritten(N * K), unwritten(N * K)};
              binary_cross_entropy_forward(device, b, z.data(), targets.data(), binary_weights,
                                           out[0].data());
              binary_cross_entropy_backward(device, b, z.data(), targets.data(), binary_weights,
                                            dloss.data(), out[1].data());
              return out;
            },
            cat("binary, weights of ", labels, " labels"), 1e-6);
      }
    }
  }
}

TEST(TverskyKernels, EqualTheDefinition) {
  const Array<> dloss = {0.6f};
  for (const int64_t pixels : {1, 35, 20000}) {
    for (const Grouping grouping : {Grouping::batch, Grouping::picture, Grouping::channel}) {
      for (const bool skip_empty : {false, true}) {
        TverskyShape s{3, pixels, 4, grouping, 0.7f, 0.3f, 1e-6f, 0.75f};
        s.skip_empty = skip_empty;
        Array<> p = random_values(3 * pixels * 4, 1), t = random_values(3 * pixels * 4, 2);
        for (float& value : p) value = 1 / (1 + std::exp(-value));
        for (float& value : t) value = value > 0.3f ? 1.0f : 0.0f;
        // A picture and a channel without a target.
        for (int64_t i = 0; i < 3 * pixels * 4; ++i)
          if (i / (pixels * 4) == 1 || i % 4 == 2) t[i] = 0;
        expect_same(
            [&](auto device) {
              Arrays out = {unwritten(s.groups() * 3), unwritten(1), unwritten(3 * pixels * 4)};
              tversky_forward(device, s, p.data(), t.data(), out[0].data(), out[1].data());
              tversky_backward(device, s, t.data(), out[0].data(), dloss.data(), out[2].data());
              return out;
            },
            cat("pixels ", pixels, " skip_empty ", skip_empty), 1e-5);
      }
    }
  }
}

}  // namespace
}  // namespace fettle
