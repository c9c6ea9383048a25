#include "kernels/batch_norm/batch_norm.h"

#include <gtest/gtest.h>

#include "tests/kernel_check.h"

namespace fettle {
namespace {

TEST(BatchNormKernels, EqualTheDefinition) {
  const float epsilon = 1e-3f;
  for (const auto& [rows, C] : {std::pair<int64_t, int64_t>{2, 3}, {7, 5}, {6000, 33}, {9000, 2}}) {
    const BatchNormShape s{rows, C};
    Array<> x = random_values(rows * C, 1);
    for (int64_t i = 0; i < rows * C; ++i) x[i] = x[i] * 2 + static_cast<float>(i % C) * 10;
    const Array<> dy = random_values(rows * C, 2), gamma = random_values(C, 3),
                  beta = random_values(C, 4);
    Arrays given = {unwritten(C), unwritten(C)};
    batch_norm_statistics(Reference{}, s, x.data(), given[0].data(), given[1].data());
    for (float& value : given[1]) value += 0.1f;
    expect_same(
        [&](auto device) {
          const int64_t n = rows * C;
          Arrays out = {unwritten(C), unwritten(C), unwritten(n), unwritten(C),
                        unwritten(C), unwritten(n), unwritten(n)};
          const float *mean = given[0].data(), *variance = given[1].data();
          Array<> batch_variance = unwritten(C);
          batch_norm_statistics(device, s, x.data(), out[0].data(), batch_variance.data());
          for (int64_t c = 0; c < C; ++c) out[1][c] = batch_variance[c] + 1;
          batch_norm_apply(device, s, epsilon, x.data(), gamma.data(), beta.data(), mean, variance,
                           out[2].data());
          batch_norm_backward_parameters(device, s, epsilon, dy.data(), x.data(), mean, variance,
                                         out[3].data(), out[4].data());
          batch_norm_backward_input(device, s, epsilon, true, dy.data(), x.data(), gamma.data(),
                                    mean, variance, out[3].data(), out[4].data(), out[5].data());
          batch_norm_backward_input(device, s, epsilon, false, dy.data(), x.data(), gamma.data(),
                                    mean, variance, nullptr, nullptr, out[6].data());
          return out;
        },
        cat("rows ", rows, ", C ", C), 1e-5);
  }
}

}  // namespace
}  // namespace fettle
