// Kernels on flat arrays and rows: CPU beside the double-precision definition, over lengths that
// end inside a vector and inside a chunk.
#include "kernels/elementwise/elementwise.h"

#include <gtest/gtest.h>

#include "kernels/concatenate/concatenate.h"
#include "kernels/dropout/dropout.h"
#include "kernels/epilogue/epilogue.h"
#include "kernels/optimizer/optimizer.h"
#include "kernels/reduce/reduce.h"
#include "kernels/softmax/softmax.h"
#include "tests/kernel_check.h"

namespace fettle {
namespace {

constexpr int64_t lengths[] = {1, 3, 15, 16, 17, 33, 32768, 100001};

TEST(ElementwiseKernels, EqualTheDefinition) {
  for (const int64_t n : lengths) {
    const Array<> a = random_values(n, 1), b = random_values(n, 2);
    expect_same(
        [&](auto device) {
          Arrays out(3, unwritten(n));
          add(device, n, a.data(), b.data(), out[0].data());
          multiply(device, n, a.data(), b.data(), out[1].data());
          scale_offset(device, n, 3, -2, a.data(), out[2].data());
          return out;
        },
        cat("n = ", n));
    for (const Unary f : {Unary::relu, Unary::relu6, Unary::sigmoid, Unary::swish}) {
      Array<> x = a;
      for (float& value : x) value *= 5;
      expect_same(
          [&](auto device) {
            Arrays out(2, unwritten(n));
            unary_forward(device, f, n, x.data(), out[0].data());
            unary_backward(device, f, n, x.data(), b.data(), out[1].data());
            return out;
          },
          cat("unary ", static_cast<int>(f), ", n = ", n), 2e-6);
    }
  }
}

TEST(DropoutKernel, EqualsTheDefinition) {
  const Array<int32_t> step = {6};
  for (const int64_t n : lengths) {
    const Array<> x = random_values(n, 1);
    expect_same(
        [&](auto device) {
          Arrays out(2, unwritten(n));
          dropout(device, n, 0.3f, {5, 6, 7}, x.data(), out[0].data());
          dropout(device, n, 0.3f, {5, 1, 7}, x.data(), out[1].data(), step.data());
          EXPECT_TRUE(out[0] == out[1]) << "a step read from memory";
          return out;
        },
        cat("n = ", n));
  }
}

TEST(ReduceKernel, EqualsTheDefinition) {
  for (const int64_t n : lengths) {
    const Array<> x = random_values(n, 1);
    expect_same(
        [&](auto device) {
          Arrays out(1, unwritten(1));
          sum(device, n, 0.5f, x.data(), out[0].data());
          return out;
        },
        cat("n = ", n));
  }
}

TEST(RowKernels, EqualTheDefinition) {
  const std::pair<int64_t, int64_t> sizes[] = {{1, 1}, {5, 3}, {700, 17}, {6000, 4}, {3, 10000}};
  for (const auto& [rows, K] : sizes) {
    const Array<> x = random_values(rows * K, 1), dy = random_values(rows * K, 2);
    expect_same(
        [&](auto device) {
          Arrays out(2, unwritten(rows * K));
          softmax_forward(device, rows, K, x.data(), out[0].data());
          softmax_backward(device, rows, K, out[0].data(), dy.data(), out[1].data());
          return out;
        },
        cat("softmax ", rows, "x", K), 2e-5);
    for (const Epilogue epilogue : {Epilogue::linear, Epilogue::relu}) {
      expect_same(
          [&](auto device) {
            Arrays out = {unwritten(rows * K), unwritten(K), unwritten(rows * K)};
            epilogue_backward(device, rows, K, epilogue, dy.data(), x.data(), out[0].data(),
                              out[1].data());
            epilogue_forward(device, rows, K, epilogue, x.data(), dy.data(), out[2].data());
            return out;
          },
          cat("epilogue ", rows, "x", K), 1e-5);
    }
    expect_same(
        [&](auto device) {
          Arrays out(1, Array<>(static_cast<size_t>(rows * (K + 2)), 7.0f));
          copy_columns(device, rows, K, x.data(), K, out[0].data() + 1, K + 2);
          return out;
        },
        "copy_columns");
  }
}

/// A step over tensors that end inside a vector and inside a chunk, and `small` more ones.
template <class Step>
void expect_same_step(const std::string& what, bool with_m, bool with_v, int small,
                      const Step& step) {
  std::vector<int64_t> sizes = {1, 0, 3, 15, 16, 4095, 33, 4096, 4097, 20001};
  for (int i = 0; i < small; ++i) sizes.push_back(i % 7);
  expect_same(
      [&](auto device) {
        Arrays out, gradients;
        std::vector<OptimizerTensor> tensors;
        for (const int64_t n : sizes) {
          gradients.push_back(random_values(n, 1));
          out.push_back(random_values(n, 2));
          out.push_back(random_values(n, 3));
          out.push_back(random_values(n, 4));
          for (float& value : out.back()) value *= value;
          float* const m = out.end()[-2].data();
          tensors.push_back({n, gradients.back().data(), out.end()[-3].data(), with_m ? m : nullptr,
                             with_v ? out.back().data() : nullptr});
        }
        step(device, OptimizerTensors(tensors));
        return out;
      },
      what, 1e-5);
}

TEST(OptimizerKernels, EqualTheDefinition) {
  for (const bool nesterov : {false, true}) {
    expect_same_step("sgd with momentum", true, false, 0,
                     [&](auto device, OptimizerTensors tensors) {
                       sgd_step(device, tensors, {0.1f, 0.9f, nesterov});
                     });
  }
  // More than one launch of a GPU takes.
  expect_same_step("sgd", false, false, 330, [](auto device, OptimizerTensors tensors) {
    sgd_step(device, tensors, {0.1f, 0, false});
  });
  expect_same_step("adam", true, true, 0, [](auto device, OptimizerTensors tensors) {
    adam_step(device, tensors,
              {.keep = 0.99f, .m_scale = 0.02f, .g_scale = 0.01f, .v_scale = 1.5f});
  });
}

TEST(OptimizerKernels, ReadTheirNumbersWhereTheyAreTold) {
  const Array<SgdStep> sgd = {{0.1f, 0.9f, true}};
  const Array<AdamStep> adam = {{.keep = 0.99f, .m_scale = 0.02f}};
  expect_same_step("sgd", true, false, 0, [&](auto device, OptimizerTensors tensors) {
    sgd_step(device, tensors, {7, 0.5f, false, sgd.data()});
  });
  expect_same_step("adam", true, true, 0, [&](auto device, OptimizerTensors tensors) {
    adam_step(device, tensors, {.beta_1 = 0, .m_scale = 3, .now = adam.data()});
  });
}

}  // namespace
}  // namespace fettle
