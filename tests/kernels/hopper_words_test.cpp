// The words of kernels/cu/hopper.h and wgmma.h against their definitions: on the executor that its
// emulation is right, on a GPU that the instructions behind the words are.
#if defined(FETTLE_CUDA)

#include "tests/kernels/hopper_words.h"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cstring>

#include "tests/kernel_check.h"

namespace fettle {
namespace {

#define SKIP_WITHOUT_HOPPER() \
  if (gpu_compute_capability() != 90) GTEST_SKIP() << "no GPU of sm_90"

/// Element i of the box is `number(i)`, in 16-byte chunks that the swizzle of `span` bytes moves.
template <class F>
void expect_box(const Array<uint8_t>& box, int elements, int span, const F& number) {
  for (int i = 0; i < elements; ++i) {
    int byte = 2 * i;
    if (span > 16) byte ^= (byte / 128 % (span / 16)) * 16;
    uint16_t got = 0;
    std::memcpy(&got, box.data() + byte, 2);
    ASSERT_EQ(got, number(i)) << "element " << i;
  }
}

Array<uint16_t> numbered(int64_t n) {
  Array<uint16_t> x(static_cast<size_t>(n));
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<uint16_t>(i + 1);
  return x;
}

TEST(HopperWords, BulkCopyOfATiledBox) {
  SKIP_WITHOUT_HOPPER();
  constexpr int rows = 21, channels = 40, box_rows = 16;
  const Array<uint16_t> x = numbered(rows * channels);
  for (const auto& [swizzle, box_channels] : {std::pair{Swizzle::none, 24},
                                              {Swizzle::bytes32, 16},
                                              {Swizzle::bytes64, 32},
                                              {Swizzle::bytes128, 64}}) {
    const TensorMap map = tiled_map(TensorElement::bf16, x.data(), {channels, rows},
                                    {box_channels, box_rows}, swizzle);
    // Inside, over each of the four edges, and wholly outside.
    for (const auto& [c0, r0] : {std::pair{8, 3}, {32, 11}, {-8, -5}, {16, 30}}) {
      Array<uint8_t> box(box_rows * box_channels * 2, 0xEE);
      word_bulk_copy(Cuda{}, map, static_cast<int>(box.size()), 2, c0, r0, 0, box.data());
      expect_box(box, box_rows * box_channels, 16 << static_cast<int>(swizzle), [&](int i) {
        const int row = r0 + i / box_channels, c = c0 + i % box_channels;
        const bool inside = row >= 0 && row < rows && c >= 0 && c < channels;
        return inside ? x[static_cast<size_t>(row * channels + c)] : 0;
      });
    }
  }
}

TEST(HopperWords, BulkCopyOfABoxOfThreeAxes) {
  SKIP_WITHOUT_HOPPER();
  constexpr int planes = 5, rows = 3, channels = 16;
  const Array<uint16_t> x = numbered(planes * rows * channels);
  const TensorMap map =
      tiled_map(TensorElement::bf16, x.data(), {channels, rows, planes}, {8, 2, 4}, Swizzle::none);
  Array<uint8_t> box(8 * 2 * 4 * 2, 0xEE);
  word_bulk_copy(Cuda{}, map, static_cast<int>(box.size()), 3, 8, 2, 3, box.data());
  expect_box(box, 8 * 2 * 4, 0, [&](int i) {
    const int c = 8 + i % 8, row = 2 + i / 8 % 2, plane = 3 + i / 16;
    return row < rows && plane < planes
               ? x[static_cast<size_t>((plane * rows + row) * channels + c)]
               : 0;
  });
}

TEST(HopperWords, BulkCopyOfTf32IsRounded) {
  SKIP_WITHOUT_HOPPER();
  Array<> x = random_values(32, 1);
  const TensorMap map = tiled_map(TensorElement::tf32, x.data(), {32, 1}, {32, 1}, Swizzle::none);
  Array<uint8_t> box(128);
  word_bulk_copy(Cuda{}, map, 128, 2, 0, 0, 0, box.data());
  for (int i = 0; i < 32; ++i) {
    float got = 0;
    std::memcpy(&got, box.data() + i * 4, 4);
    EXPECT_NEAR(got, x[i], std::abs(x[i]) * 0x1p-11f);
    EXPECT_EQ(std::bit_cast<uint32_t>(got) & 0x1FFFu, 0u) << x[i] << " still has all its bits";
  }
}

TEST(HopperWords, BulkCopyOfWindows) {
  SKIP_WITHOUT_HOPPER();
  // All extents differ, and the windows of the last column and row leave the picture.
  constexpr WindowsMap windows = {.N = 2,
                                  .H = 6,
                                  .W = 9,
                                  .C = 24,
                                  .P = 4,
                                  .Q = 5,
                                  .stride_h = 1,
                                  .stride_w = 2,
                                  .first_h = -1,
                                  .first_w = -2,
                                  .pixels = 32,
                                  .channels = 16};
  const Array<uint16_t> x = numbered(windows.N * windows.H * windows.W * windows.C);
  const TensorMap map = windows_map(TensorElement::bf16, x.data(), windows, Swizzle::bytes32);
  for (const int first : {0, 7, 19, 33}) {
    const auto place = [&](int pixel) {
      return std::array<int64_t, 3>{pixel / 20, pixel / 5 % 4 * 1 - 1, pixel % 5 * 2 - 2};
    };
    const auto [n, h, w] = place(first);
    const WindowsCopy at = {8, static_cast<int>(w), static_cast<int>(h), static_cast<int>(n), 3, 2};
    Array<uint8_t> box(32 * 16 * 2, 0xEE);
    word_bulk_copy_windows(Cuda{}, map, static_cast<int>(box.size()), at, box.data());
    expect_box(box, 32 * 16, 32, [&](int i) {
      const auto [pn, ph, pw] = place(first + i / 16);
      const int64_t row = ph + 2, column = pw + 3, c = 8 + i % 16;
      const bool inside = pn < windows.N && row >= 0 && row < windows.H && column >= 0 &&
                          column < windows.W && c < windows.C;
      return inside ? x[static_cast<size_t>(
                          ((pn * windows.H + row) * windows.W + column) * windows.C + c)]
                    : 0;
    });
  }
}

TEST(HopperWords, TensorMapsThatCannotBe) {
  SKIP_WITHOUT_HOPPER();
  const Array<uint16_t> x(4096);
  const auto element = TensorElement::bf16;
  EXPECT_THROW(tiled_map(element, x.data(), {20, 64}, {16, 64}, Swizzle::none), std::exception);
  EXPECT_THROW(tiled_map(element, x.data() + 1, {64, 64}, {64, 64}, Swizzle::none), std::exception);
  EXPECT_THROW(tiled_map(element, x.data(), {64, 64}, {64, 64}, Swizzle::bytes64), std::exception);
  EXPECT_THROW(tiled_map(element, x.data(), {64, 64}, {64, 512}, Swizzle::none), std::exception);
}

float bf16_value(uint16_t bits) {
  return std::bit_cast<float>(uint32_t{bits} << 16);
}

TEST(HopperWords, WgmmaBf16) {
  SKIP_WITHOUT_HOPPER();
  for (const int N : {64, 128, 192, 256}) {
    Array<uint16_t> a(64 * 64), b(static_cast<size_t>(N) * 64);
    const Array<> random = random_values(64 * 64 + N * 64, 1), before = random_values(64 * N, 2);
    for (size_t i = 0; i < random.size(); ++i) {
      (i < a.size() ? a[i] : b[i - a.size()]) =
          static_cast<uint16_t>(std::bit_cast<uint32_t>(random[i]) >> 16);
    }
    for (int way = 0; way < 4; ++way) {
      const bool a_along_k = way & 1, b_along_k = way & 2, add = way != 1;
      Array<> d = before;
      word_wgmma_bf16(Cuda{}, N, a_along_k, b_along_k, add, a.data(), b.data(), d.data());
      for (int m = 0; m < 64; ++m) {
        for (int n = 0; n < N; ++n) {
          double sum = add ? before[m * N + n] : 0;
          for (int k = 0; k < 64; ++k) {
            sum += double{bf16_value(a[a_along_k ? m * 64 + k : k * 64 + m])} *
                   bf16_value(b[b_along_k ? n * 64 + k : k * N + n]);
          }
          ASSERT_NEAR(d[m * N + n], sum, 1e-4) << N << ", way " << way << ": " << m << ", " << n;
        }
      }
    }
  }
}

TEST(HopperWords, WgmmaTf32) {
  SKIP_WITHOUT_HOPPER();
  // Of 10 bits of mantissa already: the products are exact.
  const auto tf32_values = [](int64_t n, int seed) {
    Array<> values = random_values(n, seed);
    for (float& v : values) v = std::bit_cast<float>(std::bit_cast<uint32_t>(v) & ~0x1FFFu);
    return values;
  };
  for (const int N : {64, 128, 192, 256}) {
    const Array<> a = tf32_values(64 * 32, 1), b = tf32_values(N * 32, 2);
    const Array<> before = random_values(64 * N, 3);
    for (int way = 0; way < 4; ++way) {
      const bool a_in_registers = way & 1, add = way & 2;
      Array<> d = before;
      word_wgmma_tf32(Cuda{}, N, a_in_registers, add, a.data(), b.data(), d.data());
      for (int m = 0; m < 64; ++m) {
        for (int n = 0; n < N; ++n) {
          double sum = add ? before[m * N + n] : 0;
          for (int k = 0; k < 32; ++k) sum += double{a[m * 32 + k]} * b[n * 32 + k];
          ASSERT_NEAR(d[m * N + n], sum, 1e-4) << N << ", way " << way << ": " << m << ", " << n;
        }
      }
    }
  }
}

TEST(HopperWords, StmatrixTransposed) {
  SKIP_WITHOUT_HOPPER();
  Array<uint32_t> registers(32 * 4);
  for (size_t i = 0; i < registers.size(); ++i)
    registers[i] = static_cast<uint32_t>(2 * i + 1 + ((2 * i + 2) << 16));
  Array<uint16_t> matrices(4 * 64, uint16_t{0});
  word_stmatrix_transposed(Cuda{}, registers.data(), matrices.data());
  for (int i = 0; i < 4; ++i) {
    for (int row = 0; row < 8; ++row) {
      for (int column = 0; column < 8; ++column) {
        const int lane = column * 4 + row / 2, number = 2 * (lane * 4 + i) + 1 + row % 2;
        EXPECT_EQ(matrices[static_cast<size_t>(i * 64 + row * 8 + column)], number)
            << i << ": " << row << ", " << column;
      }
    }
  }
}

TEST(HopperWords, RingOfMbarriers) {
  SKIP_WITHOUT_HOPPER();
  const Array<> x = random_values(256, 1);
  Array<> y = unwritten(32);
  word_ring(Cuda{}, x.data(), y.data());
  for (int lane = 0; lane < 32; ++lane) {
    double sum = 0;
    for (int step = 0; step < 8; ++step) sum += x[step * 32 + lane];
    EXPECT_NEAR(y[lane], sum, 1e-5);
  }
}

}  // namespace
}  // namespace fettle

#endif
