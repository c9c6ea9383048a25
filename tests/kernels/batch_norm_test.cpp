#include "tests/batch_norm_values.h"

namespace fettle {
namespace {

TEST(BatchNormKernels, StatisticsEqualTheDefinition) {
  for (const auto& [rows, C] :
       {std::pair<int64_t, int64_t>{2, 3}, {7, 5}, {600, 33}, {400, 1}, {9000, 2}}) {
    for (const float centre : {0.0f, 1e4f}) {
      const BatchNormShape s{rows, C};
      const BatchNormValues values(s, BatchNormValues::Second::none, centre);
      expect_same(
          [&](auto device) {
            Arrays out = {unwritten(C), unwritten(C), random_values(C, 5), random_values(C, 6)};
            batch_norm_statistics(device, s, values.x[0].data(), out[0].data(), out[1].data(),
                                  {0.9f, out[2].data(), out[3].data()});
            return out;
          },
          cat("rows ", rows, ", C ", C, " about ", centre), centre == 0 ? 1e-5 : 1e-3);
    }
  }
}

// Equal terms round in the same direction all along a sum.
TEST(BatchNormKernels, LongSumsOfFewChannelsStayExact) {
  const BatchNormShape s{200'000, 1};
  Array<> x(static_cast<size_t>(s.rows));
  for (size_t i = 0; i < x.size(); ++i) x[i] = i % 2 == 0 ? 0.7f : -0.7f;
  float mean[2], variance[2];
  batch_norm_statistics(Cpu{}, s, x.data(), &mean[0], &variance[0]);
  batch_norm_statistics(Reference{}, s, x.data(), &mean[1], &variance[1]);
  EXPECT_NEAR(mean[0], mean[1], 2e-6);
  EXPECT_NEAR(variance[0] / variance[1], 1, 1e-5);
}

TEST(BatchNormKernels, EqualTheDefinition) {
  for (const auto& [rows, C] :
       {std::pair<int64_t, int64_t>{2, 3}, {7, 8}, {64, 1}, {70, 33}, {40, 16}, {9000, 2}}) {
    for (const auto second : BatchNormValues::seconds) {
      const BatchNormValues values({rows, C}, second);
      for (const bool of_batch : {false, true}) {
        for (const Epilogue epilogue : {Epilogue::linear, Epilogue::relu}) {
          const bool longest = rows == 9000;  // so many tasks once are enough
          if (longest && !(of_batch && epilogue == Epilogue::relu)) continue;
          expect_same([&](auto device) { return values.outputs(device, epilogue, of_batch); },
                      cat("rows ", rows, ", C ", C, ", second ", static_cast<int>(second),
                          ", of batch ", of_batch, ", relu ", epilogue == Epilogue::relu),
                      1e-5);
        }
      }
    }
  }
}

// A diverging training must be seen in its loss.
TEST(BatchNormKernels, ReluKeepsNaN) {
  const BatchNormShape s{4, 3};
  BatchNormValues values(s, BatchNormValues::Second::none);
  values.x[0][5] = NAN;
  const auto y = [&](auto device) {
    Arrays out = {unwritten(12)};
    batch_norm_apply(device, s, values.sum(Epilogue::relu, true), out[0].data());
    Arrays is_nan = {Array<>(12)};
    for (size_t i = 0; i < 12; ++i) is_nan[0][i] = std::isnan(out[0][i]) ? 1.0f : 0.0f;
    return is_nan;
  };
  EXPECT_EQ(y(Cpu{})[0][5], 1);
  expect_same(y, "NaN");
}

}  // namespace
}  // namespace fettle
