#include "kernels/metrics/metrics.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/kernel_check.h"

namespace fettle {
namespace {

TEST(MetricsKernel, EqualsTheDefinition) {
  Array<> thresholds;
  for (int i = 0; i < 20; ++i) thresholds.push_back(static_cast<float>(i) / 19);
  for (const auto& [N, classes] : {std::pair<int64_t, int64_t>{1, 2}, {77, 2}, {1000, 5}}) {
    for (const bool one_column : {false, true}) {
      if (one_column && classes != 2) continue;
      const CountShape s{N, classes, one_column, static_cast<int64_t>(thresholds.size())};
      Array<> p = random_values(N * (one_column ? 1 : classes), 1);
      // With ties, and on thresholds.
      for (float& value : p) value = std::min(std::abs(std::round(value * 10) / 19), 1.0f);
      Array<int32_t> labels;
      for (int64_t n = 0; n < N; ++n) {
        labels.push_back(static_cast<int32_t>(n * 7 % (classes + 1)));  // one class too many
      }
      expect_same(
          [&](auto device) {
            Array<int32_t> confusion(static_cast<size_t>(classes * classes), 3);  // added to
            Array<int32_t> scores(static_cast<size_t>(classes * 2 * (s.thresholds + 1)), 1);
            count_predictions(device, s, p.data(), labels.data(), thresholds.data(),
                              confusion.data(), scores.data());
            return Arrays{Array<>(confusion.begin(), confusion.end()),
                          Array<>(scores.begin(), scores.end())};
          },
          cat("N ", N, ", classes ", classes), 1e-12);
    }
  }
}

TEST(MetricsKernel, CountsPixelsOfEveryThreshold) {
  for (const auto& [pixels, kinds] : {std::pair<int64_t, int64_t>{1, 1}, {1003, 3}, {700, 5}}) {
    const PixelCountShape s{pixels, kinds, 20, 0.4125f};
    Array<> p = random_values(pixels * kinds, 1), targets = random_values(pixels * kinds, 2);
    // Many on the borders of bins, 0 and 1 among them.
    for (float& value : p) value = std::min(std::abs(std::round(value * 80) / 80), 1.0f);
    for (float& value : targets) value = value > 0.3f;
    expect_same(
        [&](auto device) {
          Array<int32_t> counts(static_cast<size_t>(kinds * 2 * s.cells()), 5);  // added to
          count_pixels(device, s, p.data(), targets.data(), counts.data());
          return Arrays{Array<>(counts.begin(), counts.end())};
        },
        cat("pixels ", pixels, ", kinds ", kinds), 1e-12);
  }
}

}  // namespace
}  // namespace fettle
