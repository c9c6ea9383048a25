// What is easy to get wrong: arrays that begin inside a vector, outputs that are inputs, nothing at
// all, rows as wide as a warp or a block, logits far from 0, overlaps that are nearly perfect.
#include <gtest/gtest.h>
#include "kernels/concatenate/concatenate.h"
#include "kernels/dropout/dropout.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/epilogue/epilogue.h"
#include "kernels/losses/losses.h"
#include "kernels/optimizer/optimizer.h"
#include "kernels/reduce/reduce.h"
#include "kernels/softmax/softmax.h"
#include "tests/kernel_check.h"
namespace fettle {
namespace {
TEST(KernelEdges, OffsetsAliasesAndNothing) {
  for (int64_t n : {0, 1, 5, 1023, 5001})
    for (int64_t o : {0, 1, 2, 3}) {
      const Array<> a = random_values(n + 4, 1), b = random_values(n + 4, 2), one = {1.5f};
      expect_same(
          [&](auto d) {
            Arrays out(13, Array<>(n + 8, 7.0f));
            auto y = [&](int i) { return out[i].data() + o; };
            fill(d, n, 2.5f, y(0));
            add(d, n, a.data() + o, b.data(), y(1));
            multiply(d, n, a.data(), b.data() + o, y(2));
            scale_offset(d, n, 3, -2, a.data() + o, y(3));
            dropout(d, n, 0.3f, {5, 6, 7}, a.data() + o, y(4));
            std::copy_n(a.data(), n, y(5));
            dropout(d, n, 0.5f, {uint64_t{1} << 40, 6, 9}, y(5), y(5));
            std::copy_n(a.data(), n, y(6));
            add(d, n, y(6), y(6), y(6));
            std::copy_n(a.data(), n, y(7));
            unary_forward(d, Unary::swish, n, y(7), y(7));
            std::copy_n(a.data(), n, y(8));
            unary_backward(d, Unary::relu6, n, a.data() + o, y(8), y(8));
            spread(d, n, 2, one.data(), y(9));
            sum(d, n, 2, a.data() + o, y(10));
            std::copy_n(b.data(), n, y(11));
            const OptimizerTensor plain[] = {{n, a.data() + o, y(11)}};
            sgd_step(d, plain, {0.1f, 0, false});
            std::copy_n(b.data(), n, y(12));
            Array<> m(n + 8, 0.25f), v(n + 8, 0.5f);
            const OptimizerTensor with_state[] = {
                {n, a.data() + o, y(12), m.data() + o, v.data() + o}};
            adam_step(d, with_state, {.keep = 0.99f, .m_scale = 0.02f, .g_scale = 0.01f});
            return out;
          },
          cat("n ", n, " offset ", o), 2e-6);
    }
}
TEST(KernelEdges, SoftmaxWidths) {
  for (auto [N, K] : {std::pair<int64_t, int64_t>{0, 5},
                      {33, 32},
                      {33, 33},
                      {40, 100},
                      {70, 132},
                      {9, 255},
                      {9, 257},
                      {9, 516},
                      {9, 1023},
                      {9, 1024},
                      {9, 1025},
                      {2, 5000}}) {
    Array<> x = random_values(N * K, 1);
    const Array<> dy = random_values(N * K, 2);
    for (float& v : x) v = v * 20 + 500;
    expect_same(
        [&](auto d) {
          Arrays out(2, unwritten(N * K));
          softmax_forward(d, N, K, x.data(), out[0].data());
          softmax_backward(d, N, K, out[0].data(), dy.data(), out[1].data());
          return out;
        },
        cat("softmax ", N, "x", K), 2e-5);
  }
}
TEST(KernelEdges, EpilogueInPlaceAndInPart) {
  for (auto [R, K] :
       {std::pair<int64_t, int64_t>{0, 7}, {1, 2048}, {300, 33}, {70, 600}, {5000, 20}, {16000, 1}})
    for (Epilogue e : {Epilogue::linear, Epilogue::relu})
      for (int mode = 0; mode < 4; ++mode) {
        if (mode == 2 && e == Epilogue::relu) continue;
        const Array<> y = random_values(R * K, 1), g = random_values(R * K, 2);
        expect_same(
            [&](auto d) {
              float* const none = nullptr;
              Arrays out = {g, mode == 1 ? Array<>(K, 3.f) : unwritten(K)};
              if (mode == 0)
                epilogue_backward(d, R, K, e, out[0].data(), y.data(), out[0].data(),
                                  out[1].data());
              if (mode == 1)
                epilogue_backward(d, R, K, e, g.data(), e == Epilogue::relu ? y.data() : nullptr,
                                  out[0].data(), nullptr);
              if (mode == 2) epilogue_backward(d, R, K, e, g.data(), none, none, out[1].data());
              if (mode == 3)
                epilogue_backward(d, R, K, e, g.data(), e == Epilogue::relu ? y.data() : nullptr,
                                  out[0].data(), out[1].data());
              return out;
            },
            cat("epilogue ", R, "x", K, " mode ", mode), 1e-5);
      }
}
TEST(KernelEdges, CopiedColumns) {
  for (auto [R, W, F, T] : {std::tuple<int64_t, int64_t, int64_t, int64_t>{0, 3, 3, 5},
                            {9, 0, 3, 5},
                            {50, 8, 12, 16},
                            {50, 8, 13, 16},
                            {50, 8, 12, 18},
                            {1, 4000, 4000, 4004}})
    for (int64_t o : {0, 1, 4}) {
      const Array<> x = random_values(R * F + 8, 1);
      expect_same(
          [&](auto d) {
            Arrays out(1, Array<>(R * T + 8, 7.f));
            copy_columns(d, R, W, x.data() + (o == 4 ? 4 : 0), F, out[0].data() + o, T);
            return out;
          },
          "copy");
    }
}
TEST(KernelEdges, CategoricalFarLogits) {
  const Array<> dloss = {1.7f};
  for (auto [N, K] : {std::pair<int64_t, int64_t>{0, 3},
                      {300, 2},
                      {300, 5},
                      {40, 100},
                      {20, 201},
                      {9, 300},
                      {40, 1000},
                      {3, 1030}})
    for (float mag : {1.f, 3.f, 20.f})
      for (float off : {0.f, 100.f}) {
        Array<> z = random_values(N * K, 1);
        Array<int32_t> labels;
        for (float& v : z) v = v * mag + off;
        for (int64_t n = 0; n < N; ++n) labels.push_back(static_cast<int32_t>((n * 7 + 1) % K));
        const CategoricalShape s{N, K, mag == 1 ? 0.1f : 0.0f};
        expect_same(
            [&](auto d) {
              Arrays out = {unwritten(N), unwritten(N * K)};
              categorical_cross_entropy_forward(d, s, z.data(), labels.data(), nullptr,
                                                out[0].data());
              categorical_cross_entropy_backward(d, s, z.data(), labels.data(), nullptr,
                                                 dloss.data(), out[1].data());
              return out;
            },
            cat("categorical ", N, "x", K, " mag ", mag, " off ", off), 1e-6);
      }
}
TEST(KernelEdges, BinaryCrossEntropyOfSureLogits) {
  const Array<> dloss = {0.6f};
  Array<> z, t;
  for (const float logit : {0.0f, 1e-3f, 0.5f, 3.0f, 9.0f, 15.0f}) {
    for (const float sign : {-1.0f, 1.0f}) {
      for (const float target : {0.0f, 0.25f, 1.0f}) {
        z.push_back(sign * logit);
        t.push_back(target);
      }
    }
  }
  const auto n = static_cast<int64_t>(z.size());
  for (const float smoothing : {0.0f, 0.1f}) {
    const BinaryShape s{.n = n, .label_smoothing = smoothing};
    expect_same(
        [&](auto d) {
          Arrays out = {unwritten(n), unwritten(n)};
          binary_cross_entropy_forward(d, s, z.data(), t.data(), nullptr, out[0].data());
          binary_cross_entropy_backward(d, s, z.data(), t.data(), nullptr, dloss.data(),
                                        out[1].data());
          return out;
        },
        cat("binary, smoothing ", smoothing), 1e-6);
  }
}
TEST(KernelEdges, BinaryCrossEntropyFarBeyondTheRangeOfExp) {
  const Array<> z = {100, 100, -100, -100, 1e30f, -1e30f}, t = {0, 1, 0, 1, 0, 1}, dloss = {6};
  const auto all = [&](auto device) {
    const BinaryShape s{.n = 6};
    Arrays out = {unwritten(6), unwritten(6)};
    binary_cross_entropy_forward(device, s, z.data(), t.data(), nullptr, out[0].data());
    binary_cross_entropy_backward(device, s, z.data(), t.data(), nullptr, dloss.data(),
                                  out[1].data());
    for (Array<>& values : out)
      for (float& value : values)
        if (std::fabs(value) < 1e-37f) value = 0;
    return out;
  };
  const Arrays expected = {{100, 0, 0, 100, 1e30f, 1e30f}, {1, 0, 0, -1, 1, -1}};
  EXPECT_EQ(all(Cpu{}), expected);
  const auto gpu = run_on_gpu(all, "far logits");
  EXPECT_EQ(gpu.value_or(expected), expected);
}
TEST(KernelEdges, TverskyGoodOverlap) {
  const Array<> dloss = {0.6f};
  for (float error : {1e-2f, 1e-3f, 1e-4f})
    for (Grouping g : {Grouping::batch, Grouping::picture, Grouping::channel}) {
      const TverskyShape s{3, 5000, 4, g, 0.7f, 0.3f, 1e-6f, 0.75f};
      Array<> t = random_values(60000, 2), p;
      for (float& v : t) v = v > 0.3f ? 1 : 0;
      const Array<> r = random_values(60000, 3);
      for (int i = 0; i < 60000; ++i) {
        const float e = std::fabs(r[i]) * error;
        p.push_back(t[i] > 0 ? 1 - e : e);
      }
      expect_same(
          [&](auto d) {
            Arrays out = {unwritten(s.groups() * 3), unwritten(1), unwritten(60000)};
            tversky_forward(d, s, p.data(), t.data(), out[0].data(), out[1].data());
            tversky_backward(d, s, t.data(), out[0].data(), dloss.data(), out[2].data());
            out.resize(2);
            return out;
          },
          cat("error ", error, " grouping ", static_cast<int>(g)), 1e-5);
    }
}

}  // namespace
}  // namespace fettle
