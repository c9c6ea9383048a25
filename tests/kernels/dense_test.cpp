#include "kernels/dense/dense.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/kernel_check.h"

namespace fettle {
namespace {

struct DenseCase {
  std::string name;
  DenseShape shape;
};

struct Inputs {
  explicit Inputs(const DenseShape& s)
      : x(random_values(s.N * s.C, 1)),
        w(random_values(s.K * s.C, 2)),
        bias(random_values(s.K, 3)),
        dy(random_values(s.N * s.K, 4)) {}
  Array<> x, w, bias, dy;
};

template <class Device>
Arrays all_directions(Device device, const DenseShape& s, const Inputs& a) {
  Array<> linear(a.dy.size(), NAN), relu(a.dy.size(), NAN), dx(a.x.size(), NAN),
      dw(a.w.size(), NAN);
  dense_forward(device, s, a.x.data(), a.w.data(), nullptr, Epilogue::linear, linear.data());
  dense_forward(device, s, a.x.data(), a.w.data(), a.bias.data(), Epilogue::relu, relu.data());
  dense_backward_input(device, s, a.dy.data(), a.w.data(), dx.data());
  dense_backward_weight(device, s, a.dy.data(), a.x.data(), dw.data());
  return {linear, relu, dx, dw};
}

class DenseKernel : public testing::TestWithParam<DenseCase> {};

TEST_P(DenseKernel, EqualsTheDefinitionWithAnyNumberOfThreads) {
  const DenseShape& s = GetParam().shape;
  const Inputs inputs(s);
  expect_same([&](auto device) { return all_directions(device, s, inputs); }, GetParam().name);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, DenseKernel,
    testing::Values(DenseCase{"small", {3, 5, 2}}, DenseCase{"one_unit", {7, 50, 1}},
                    DenseCase{"one_row", {1, 300, 11}}, DenseCase{"one_input", {5, 1, 6}},
                    DenseCase{"ragged", {33, 2071, 37}}, DenseCase{"long_depth", {6, 9001, 19}}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace fettle
