// The words of kernels/cu.h against their definitions: on the executor that its emulation is right,
// on a GPU that the instructions behind the words are.
#if defined(FETTLE_CUDA)

#include "tests/kernels/words.h"

#include <gtest/gtest.h>

#include <bit>
#include <limits>

#include "tests/kernel_check.h"

namespace fettle {
namespace {

#define SKIP_WITHOUT(capability) \
  if (gpu_compute_capability() < (capability)) GTEST_SKIP() << "no GPU of sm_" << (capability)

/// The nearest number of `bits` bits of mantissa; ties to even.
float rounded(float x, int bits) {
  int exponent = 0;
  const double scaled = std::ldexp(std::frexp(double{x}, &exponent), bits + 1);
  return static_cast<float>(std::ldexp(std::nearbyint(scaled), exponent - bits - 1));
}

void expect_product(int K, bool tf32, const Array<>& a, const Array<>& b, const Array<>& before,
                    const Array<>& d) {
  for (int m = 0; m < 16; ++m) {
    for (int n = 0; n < 8; ++n) {
      double sum = before[m * 8 + n];
      for (int k = 0; k < K; ++k) {
        sum += double{rounded(a[m * K + k], tf32 ? 10 : 7)} * rounded(b[k * 8 + n], tf32 ? 10 : 7);
      }
      EXPECT_NEAR(d[m * 8 + n], sum, 1e-5) << m << ", " << n;
    }
  }
}

TEST(Words, MmaBf16) {
  SKIP_WITHOUT(80);
  const Array<> a = random_values(256, 1), b = random_values(128, 2),
                before = random_values(128, 3);
  Array<> d = before;
  word_mma_bf16(Cuda{}, a.data(), b.data(), d.data());
  expect_product(16, false, a, b, before, d);
}

TEST(Words, MmaTf32) {
  SKIP_WITHOUT(80);
  const Array<> a = random_values(128, 1), b = random_values(64, 2), before = random_values(128, 3);
  Array<> d = before;
  word_mma_tf32(Cuda{}, a.data(), b.data(), d.data());
  expect_product(8, true, a, b, before, d);
}

TEST(Words, Ldmatrix) {
  SKIP_WITHOUT(75);
  Array<uint16_t> matrices(256);
  for (int i = 0; i < 256; ++i) matrices[i] = static_cast<uint16_t>(i * 251 + 7);
  for (const bool transposed : {false, true}) {
    Array<uint32_t> registers(128);
    word_ldmatrix(Cuda{}, transposed, matrices.data(), registers.data());
    for (int lane = 0; lane < 32; ++lane) {
      for (int i = 0; i < 4; ++i) {
        const auto element = [&](int row, int column) {
          return uint32_t{matrices[i * 64 + (transposed ? column * 8 + row : row * 8 + column)]};
        };
        const int row = lane / 4, column = lane % 4 * 2;
        EXPECT_EQ(registers[lane * 4 + i], element(row, column) | element(row, column + 1) << 16);
      }
    }
  }
}

TEST(Words, CpAsync) {
  SKIP_WITHOUT(75);
  const Array<> x = random_values(32 * 7, 1);
  Array<> y = unwritten(32 * 7);
  word_cp_async(Cuda{}, x.data(), y.data());
  const auto valid = [](int i) {
    return i < 32 ? i < 16 : i < 96 ? (i - 32) / 2 < 16 : (i - 96) / 4 < 16;
  };
  for (int i = 0; i < 32 * 7; ++i) EXPECT_EQ(y[i], valid(i) ? x[i] : 0.0f) << i;
}

TEST(Words, Rounding) {
  SKIP_WITHOUT(80);
  Array<> x = random_values(1000, 1);
  // Ties, in both directions, at both widths.
  for (const float tie : {1 + 0x1p-8f, 1 + 3 * 0x1p-8f, 1 + 0x1p-11f, 1 + 3 * 0x1p-11f}) {
    x.push_back(tie);
    x.push_back(-tie);
  }
  // The last numbers below a power of two, and the largest whose sum with 8192 of it is finite.
  for (const float edge : {2 - 0x1p-23f, 2 - 0x1p-13f, 2 - 0x1p-12f, 2 - 0x1p-11f, 0x1p114f})
    x.push_back(edge);
  // The smallest and largest of fp16, and the ties beside them.
  for (const float edge : {0x1p-14f, 0x1p-15f, 0x1p-24f, 0x1p-25f, 3 * 0x1p-25f, 1023.5f * 0x1p-24f,
                           65504.0f, 65519.0f, 65520.0f, 1e-30f}) {
    x.push_back(edge);
    x.push_back(-edge);
  }
  x.push_back(0.0f);
  const size_t finite = x.size();
  x.push_back(std::numeric_limits<float>::infinity());
  x.push_back(NAN);
  x.push_back(0x1p120f);
  Array<uint32_t> tf32(x.size());
  Array<uint16_t> brain(x.size()), half(x.size());
  word_round(Cuda{}, static_cast<int>(x.size()), x.data(), tf32.data(), brain.data(), half.data());
  for (size_t i = 0; i < finite; ++i) {
    EXPECT_EQ(std::bit_cast<float>(tf32[i]), rounded(x[i], 10)) << x[i];
    EXPECT_EQ(std::bit_cast<float>(uint32_t{brain[i]} << 16), rounded(x[i], 7)) << x[i];
    EXPECT_EQ(half[i], std::bit_cast<uint16_t>(static_cast<_Float16>(x[i]))) << x[i];
  }
  for (size_t i = finite; i < x.size(); ++i)
    EXPECT_FALSE(std::isfinite(std::bit_cast<float>(tf32[i]))) << x[i];
  EXPECT_EQ(brain[finite], 0x7F80);
  EXPECT_EQ(half[finite], 0x7C00);
  EXPECT_TRUE(std::isnan(std::bit_cast<float>(uint32_t{brain[finite + 1]} << 16)));
  EXPECT_TRUE(std::isnan(static_cast<float>(std::bit_cast<_Float16>(half[finite + 1]))));
}

TEST(Words, WideningFp16) {
  SKIP_WITHOUT(75);
  Array<> y = unwritten(65536);
  word_widen(Cuda{}, y.data());
  for (int i = 0; i < 65536; ++i) {
    const auto expected = static_cast<float>(std::bit_cast<_Float16>(static_cast<uint16_t>(i)));
    EXPECT_TRUE(y[i] == expected || (std::isnan(y[i]) && std::isnan(expected))) << i;
  }
}

TEST(Words, Exchange) {
  SKIP_WITHOUT(75);
  Array<> x = random_values(96, 1);
  for (float& value : x) value = std::round(value * 4);  // sums without rounding
  Array<> y = unwritten(96 * 6);
  word_exchange(Cuda{}, x.data(), y.data());
  float block = 0;
  for (const float value : x) block += value;
  for (int i = 0; i < 96; ++i) {
    const int first = i / 32 * 32, lane = i % 32;
    float sum = 0, highest = x[first];
    unsigned votes = 0;
    for (int j = 0; j < 32; ++j) {
      sum += x[first + j];
      highest = std::max(highest, x[first + j]);
      votes |= unsigned{x[first + j] > 0} << j;
    }
    EXPECT_EQ(y[i * 6], sum);
    EXPECT_EQ(y[i * 6 + 1], block);
    EXPECT_EQ(y[i * 6 + 2], highest);
    EXPECT_EQ(y[i * 6 + 3], static_cast<float>(votes & 0xFFFFu));
    EXPECT_EQ(y[i * 6 + 4], x[first + lane / 8 * 8 + 3]);
    EXPECT_EQ(y[i * 6 + 5], lane < 30 ? x[i + 2] : x[i]);
  }
}

}  // namespace
}  // namespace fettle

#endif
