// Random shapes with a fixed seed: the CPU, the GPU and the definition must agree on all of them.
// Convolutions have theirs in conv2d_rungs_test.cpp.
#include <gtest/gtest.h>

#include "kernels/augment/augment.h"
#include "kernels/batch_norm/batch_norm.h"
#include "kernels/concatenate/concatenate.h"
#include "kernels/dense/dense.h"
#include "kernels/epilogue/epilogue.h"
#include "kernels/losses/losses.h"
#include "kernels/pool2d/pool2d.h"
#include "kernels/reduce/reduce.h"
#include "kernels/softmax/softmax.h"
#include "kernels/upsample2d/upsample2d.h"
#include "tests/kernel_check.h"

namespace fettle {
namespace {

class Fuzzed : public testing::Test {
 protected:
  Pick pick{20260101};
  static constexpr int rounds = 8;
};

TEST_F(Fuzzed, Pooling) {
  for (int i = 0; i < rounds; ++i) {
    Pool2dShape s = {.N = pick(1, 3),
                     .H = pick(4, 20),
                     .W = pick(4, 20),
                     .C = pick(1, 40),
                     .R = pick(1, 4),
                     .S = pick(1, 4),
                     .P = 1,
                     .Q = 1,
                     .stride_h = pick(1, 3),
                     .stride_w = pick(1, 3)};
    s.pad_top = pick(0, s.R - 1);
    s.pad_left = pick(0, s.S - 1);
    s.P = (s.H + s.pad_top - s.R) / s.stride_h + 1;
    s.Q = (s.W + s.pad_left - s.S) / s.stride_w + 1;
    const Array<> x = random_values(s.N * s.H * s.W * s.C, 1);
    const Array<> dy = random_values(s.N * s.P * s.Q * s.C, 2);
    expect_same(
        [&](auto device) {
          Arrays out = {unwritten(dy.size()), unwritten(dy.size()), unwritten(x.size()),
                        unwritten(x.size())};
          Array<uint8_t> places(dy.size() * static_cast<size_t>(bytes_a_place(s)));
          max_pool2d_forward(device, s, x.data(), out[0].data(), places.data());
          average_pool2d_forward(device, s, x.data(), out[1].data());
          max_pool2d_backward(device, s, places.data(), dy.data(), out[2].data());
          average_pool2d_backward(device, s, dy.data(), out[3].data());
          return out;
        },
        cat("pooling ", i));
  }
}

TEST_F(Fuzzed, Upsampling) {
  for (int i = 0; i < rounds; ++i) {
    const Upsample2dShape s = {pick(1, 2), pick(1, 7), pick(1, 7),
                               pick(1, 9), pick(1, 4), pick(1, 4)};
    const Array<> x = random_values(s.N * s.H * s.W * s.C, 1);
    const Array<> dy = random_values(s.N * s.H * s.factor_h * s.W * s.factor_w * s.C, 2);
    for (const Upsampling how : {Upsampling::nearest, Upsampling::bilinear}) {
      expect_same(
          [&](auto device) {
            Arrays out = {unwritten(dy.size()), unwritten(x.size())};
            upsample2d_forward(device, s, how, x.data(), out[0].data());
            upsample2d_backward(device, s, how, dy.data(), out[1].data());
            return out;
          },
          cat("upsampling ", i));
    }
  }
}

TEST_F(Fuzzed, RowsAndColumns) {
  for (int i = 0; i < rounds; ++i) {
    const int64_t rows = pick(2, 700), K = pick(1, i % 2 == 0 ? 90 : 9);
    const Array<> x = random_values(rows * K, 1), dy = random_values(rows * K, 2),
                  gamma = random_values(K, 3), beta = random_values(K, 4);
    expect_same(
        [&](auto device) {
          const BatchNormShape s{rows, K};
          Arrays out;
          for (int j = 0; j < 9; ++j) out.push_back(unwritten(j < 4 ? rows * K : K));
          softmax_forward(device, rows, K, x.data(), out[0].data());
          epilogue_backward(device, rows, K, Epilogue::relu, dy.data(), x.data(), out[1].data(),
                            out[4].data());
          batch_norm_statistics(device, s, x.data(), out[5].data(), out[6].data());
          for (float& value : out[6]) value += 0.1f;  // of one row it is 0
          const BatchNormSum<> sum = {
              {{x.data(), gamma.data(), beta.data(), out[5].data(), out[6].data(), 1e-3f, true},
               {.x = dy.data()}}};
          batch_norm_apply(device, s, sum, out[2].data());
          const BatchNormGradients gradients = {{out[7].data()}, out[8].data()};
          batch_norm_backward_parameters(device, s, sum, dy.data(), gradients);
          float* const none = nullptr;
          batch_norm_backward_input(device, s, sum, dy.data(), gradients, out[3].data(), none);
          return out;
        },
        cat("rows ", rows, ", columns ", K), 1e-5);
  }
}

TEST_F(Fuzzed, Dense) {
  for (int i = 0; i < rounds; ++i) {
    const DenseShape s = {pick(1, 40), pick(1, 300), pick(1, 40)};
    const Array<> x = random_values(s.N * s.C, 1), w = random_values(s.K * s.C, 2),
                  bias = random_values(s.K, 3), dy = random_values(s.N * s.K, 4);
    expect_same(
        [&](auto device) {
          Arrays out = {unwritten(dy.size()), unwritten(x.size()), unwritten(w.size())};
          dense_forward(device, s, x.data(), w.data(), bias.data(), Epilogue::relu, out[0].data());
          dense_backward_input(device, s, dy.data(), w.data(), out[1].data());
          dense_backward_weight(device, s, dy.data(), x.data(), out[2].data());
          return out;
        },
        cat("dense ", s.N, "x", s.C, "x", s.K), 2e-6);
  }
}

TEST_F(Fuzzed, Losses) {
  const Array<> dloss = {0.7f};
  for (int i = 0; i < rounds; ++i) {
    TverskyShape s = {pick(1, 4), pick(1, 400), pick(1, 5), static_cast<Grouping>(i % 3),
                      0.3f,       0.7f,         0.1f,       1.3f};
    s.skip_empty = i % 2 == 0;
    const int64_t n = s.N * s.pixels * s.C;
    Array<> p = random_values(n, 1), t = random_values(n, 2);
    for (float& value : p) value = 1 / (1 + std::exp(-value));
    for (float& value : t) value = value > 0 ? 1.0f : 0.0f;
    expect_same(
        [&](auto device) {
          Arrays out = {unwritten(s.groups() * 3), unwritten(1), unwritten(n)};
          tversky_forward(device, s, p.data(), t.data(), out[0].data(), out[1].data());
          tversky_backward(device, s, t.data(), out[0].data(), dloss.data(), out[2].data());
          return out;
        },
        cat("tversky ", i), 1e-5);
  }
}

TEST_F(Fuzzed, Augmentation) {
  for (int i = 0; i < rounds; ++i) {
    Pictures p = {pick(1, 3), pick(2, 12), pick(2, 12), pick(1, 4)};
    const int64_t n = p.N * p.H * p.W * p.C;
    Array<> x = random_values(n, 1), factors = random_values(p.N, 2);
    for (float& value : x) value = 128 + 40 * value;
    for (float& value : factors) value = 1 + 0.2f * value;
    p.floats = x.data();
    PictureChanges changes;
    changes.colours = 2;
    changes.colour[0] = {ColourChange::Kind::contrast, factors.data()};
    changes.colour[1] = {ColourChange::Kind::brightness, factors.data(), 90, 200};
    expect_same(
        [&](auto device) {
          Arrays out = {unwritten(n)};
          augment(device, p, changes, out[0].data());
          return out;
        },
        cat("augmentation ", i), 1e-5);
  }
}

}  // namespace
}  // namespace fettle
