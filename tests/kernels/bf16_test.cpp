// The GPU kernels that take activations of bf16, beside the definition with the same numbers: what
// differs is the rounding of their results.
#if defined(FETTLE_CUDA)

#include <gtest/gtest.h>

#include "kernels/batch_norm/batch_norm.h"
#include "kernels/concatenate/concatenate.h"
#include "kernels/dropout/dropout.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/epilogue/epilogue.h"
#include "kernels/pool2d/pool2d.h"
#include "kernels/upsample2d/upsample2d.h"
#include "tests/batch_norm_values.h"
#include "tests/cases/pool2d.h"

namespace fettle {
namespace {

/// Half of the last place of bf16.
constexpr double rounding = 0x1p-8;

Array<> bf16_values(int64_t count, uint32_t seed) {
  return converted<float>(converted<bf16>(random_values(count, seed)));
}

/// f(device, inputs, outputs) with arrays of float on the definition, and of bf16 on the GPU;
/// `sizes` are those of the outputs.
template <class F>
void expect_rounded(const std::string& what, const std::vector<Array<>>& inputs,
                    const std::vector<int64_t>& sizes, const F& f) {
  const auto run = [&]<class T>(auto device, T) {
    std::vector<Array<T>> in, out;
    for (const Array<>& values : inputs) in.push_back(converted<T>(values));
    for (const int64_t size : sizes) out.push_back(converted<T>(unwritten(size)));
    f(device, in, out);
    Arrays results;
    for (const Array<T>& values : out) results.push_back(converted<float>(values));
    return results;
  };
  const auto ours = run_on_gpu([&](Cuda device) { return run(device, bf16{}); }, what);
  if (ours) expect_close(*ours, run(Reference{}, float{}), what, rounding);
}

class Bf16 : public testing::Test {
  void SetUp() override {
    if (!gpu_is_there()) GTEST_SKIP() << "no GPU";
  }
};

// Lengths that vectors of eight divide, and that they do not.
constexpr int64_t lengths[] = {1, 13, 64, 1000};

TEST_F(Bf16, Elementwise) {
  for (const int64_t n : lengths) {
    const std::vector<Array<>> ab = {bf16_values(n, 1), bf16_values(n, 2)};
    const std::string of = " of " + std::to_string(n);
    expect_rounded("add" + of, ab, {n}, [&](auto device, const auto& in, auto& out) {
      add(device, n, in[0].data(), in[1].data(), out[0].data());
    });
    expect_rounded("multiply" + of, ab, {n}, [&](auto device, const auto& in, auto& out) {
      multiply(device, n, in[0].data(), in[1].data(), out[0].data());
    });
    for (const Unary u : {Unary::relu, Unary::relu6, Unary::sigmoid, Unary::swish}) {
      expect_rounded("unary" + of, ab, {n, n}, [&](auto device, const auto& in, auto& out) {
        unary_forward(device, u, n, in[0].data(), out[0].data());
        unary_backward(device, u, n, in[0].data(), in[1].data(), out[1].data());
      });
    }
    expect_rounded("dropout" + of, ab, {n}, [&](auto device, const auto& in, auto& out) {
      dropout(device, n, 0.4f, RandomKey{3, 5}, in[0].data(), out[0].data());
    });
  }
}

TEST_F(Bf16, Convert) {
  for (const int64_t n : lengths) {
    const Array<> x = random_values(n, 1);
    const auto there = run_on_gpu(
        [&](Cuda device) {
          Array<bf16> rounded(static_cast<size_t>(n));
          Array<> back = unwritten(n);
          convert(device, n, x.data(), rounded.data());
          convert(device, n, rounded.data(), back.data());
          return Arrays{back};
        },
        "convert");
    ASSERT_TRUE(there);
    EXPECT_EQ((*there)[0], converted<float>(converted<bf16>(x)));
  }
}

TEST_F(Bf16, BatchNorm) {
  for (const auto& [rows, C] :
       {std::pair<int64_t, int64_t>{7, 3}, {120, 5}, {90, 16}, {33, 264}, {700, 8}}) {
    for (const auto second : BatchNormValues::seconds) {
      const BatchNormShape s{rows, C};
      const BatchNormValues values(s, second, 0, true);
      const std::string what = cat(rows, "x", C, ", second ", static_cast<int>(second));
      const auto compute = [&]<class T>(auto device, T) {
        Arrays out = values.outputs<T>(device, Epilogue::relu, true);
        const Array<T> x = converted<T>(values.x[0]);
        out.insert(out.end(), {unwritten(C), unwritten(C)});
        batch_norm_statistics(device, s, x.data(), out.end()[-2].data(), out.end()[-1].data());
        return out;
      };
      const auto ours = run_on_gpu([&](Cuda device) { return compute(device, bf16{}); }, what);
      ASSERT_TRUE(ours);
      expect_close(*ours, compute(Reference{}, float{}), what, rounding);
    }
  }
}

TEST_F(Bf16, Epilogue) {
  for (const auto& [rows, K] : {std::pair<int64_t, int64_t>{9, 3}, {40, 16}, {300, 72}}) {
    const Array<> bias = random_values(K, 3);
    for (const auto epilogue : {Epilogue::linear, Epilogue::relu}) {
      const int64_t n = rows * K;
      Arrays sums[2];
      expect_rounded("epilogue", {bf16_values(n, 1), bf16_values(n, 2)}, {n, n},
                     [&](auto device, const auto& in, auto& out) {
                       Array<> dbias = unwritten(K);
                       epilogue_forward(device, rows, K, epilogue, in[0].data(), bias.data(),
                                        out[0].data());
                       epilogue_backward(device, rows, K, epilogue, in[1].data(), in[0].data(),
                                         out[1].data(), dbias.data());
                       sums[std::is_same_v<decltype(device), Cuda> ? 0 : 1] = {dbias};
                     });
      expect_close(sums[0], sums[1], "dbias", 1e-5);
    }
  }
}

TEST_F(Bf16, Pooling) {
  for (const Pool2dCase& c : pool2d_cases()) {
    const Pool2dShape& s = c.shape;
    const int64_t inputs = s.N * s.H * s.W * s.C, outputs = s.N * s.P * s.Q * s.C;
    expect_rounded(
        c.name, {bf16_values(inputs, 1), bf16_values(outputs, 2)},
        {outputs, inputs, outputs, inputs, inputs}, [&](auto device, const auto& in, auto& out) {
          Array<uint8_t> places(static_cast<size_t>(outputs * bytes_a_place(s)));
          max_pool2d_forward(device, s, in[0].data(), out[0].data(), places.data());
          max_pool2d_backward(device, s, places.data(), in[1].data(), out[1].data());
          out[4] = in[0];
          max_pool2d_backward(device, s, places.data(), in[1].data(), out[4].data(), true);
          average_pool2d_forward(device, s, in[0].data(), out[2].data());
          average_pool2d_backward(device, s, in[1].data(), out[3].data());
        });
  }
}

TEST_F(Bf16, Upsampling) {
  for (const int64_t C : {3, 16}) {
    const Upsample2dShape s{2, 3, 5, C, 2, 3};
    const int64_t inputs = s.N * s.H * s.W * s.C, outputs = inputs * 6;
    for (const Upsampling how : {Upsampling::nearest, Upsampling::bilinear}) {
      expect_rounded("upsample2d", {bf16_values(inputs, 1), bf16_values(outputs, 2)},
                     {outputs, inputs}, [&](auto device, const auto& in, auto& out) {
                       upsample2d_forward(device, s, how, in[0].data(), out[0].data());
                       upsample2d_backward(device, s, how, in[1].data(), out[1].data());
                     });
    }
  }
}

TEST_F(Bf16, CopyColumns) {
  for (const auto& [width, wide] : {std::pair<int64_t, int64_t>{3, 7}, {8, 24}}) {
    expect_rounded("copy_columns", {bf16_values(11 * width, 1), bf16_values(11 * wide, 2)},
                   {11 * wide, 11 * width}, [&](auto device, const auto& in, auto& out) {
                     copy_columns(device, 11, wide, in[1].data(), wide, out[0].data(), wide);
                     copy_columns(device, 11, width, in[0].data(), width,
                                  out[0].data() + wide - width, wide);
                     copy_columns(device, 11, width, in[1].data(), wide, out[1].data(), width);
                   });
  }
}

}  // namespace
}  // namespace fettle

#endif
