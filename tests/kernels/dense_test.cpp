#include "kernels/dense/dense.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/parallel.h"
#include "tests/random_values.h"

namespace fettle {
namespace {

struct DenseCase {
  std::string name;
  DenseShape shape;
};

struct Arrays {
  explicit Arrays(const DenseShape& s)
      : x(random_values(s.N * s.C, 1)),
        w(random_values(s.K * s.C, 2)),
        bias(random_values(s.K, 3)),
        dy(random_values(s.N * s.K, 4)) {}
  std::vector<float> x, w, bias, dy;
};

template <class Device>
std::vector<std::vector<float>> all_directions(Device device, const DenseShape& s,
                                               const Arrays& a) {
  std::vector<float> linear(a.dy.size(), NAN), relu(a.dy.size(), NAN), dx(a.x.size(), NAN),
      dw(a.w.size(), NAN);
  dense_forward(device, s, a.x.data(), a.w.data(), nullptr, Epilogue::linear, linear.data());
  dense_forward(device, s, a.x.data(), a.w.data(), a.bias.data(), Epilogue::relu, relu.data());
  dense_backward_input(device, s, a.dy.data(), a.w.data(), dx.data());
  dense_backward_weight(device, s, a.dy.data(), a.x.data(), dw.data());
  return {linear, relu, dx, dw};
}

class DenseKernel : public testing::TestWithParam<DenseCase> {};

TEST_P(DenseKernel, EqualsTheDoublePrecisionDefinition) {
  const DenseShape& s = GetParam().shape;
  const Arrays arrays(s);
  const auto ours = all_directions(Cpu{}, s, arrays);
  const auto reference = all_directions(Reference{}, s, arrays);
  const char* directions[] = {"forward", "forward+bias+relu", "backward_input", "backward_weight"};
  for (size_t i = 0; i < ours.size(); ++i) {
    EXPECT_LT(relative_error(ours[i], reference[i]), 1e-6) << directions[i];
  }
}

TEST_P(DenseKernel, GivesTheSameBitsWithAnyNumberOfThreads) {
  const DenseShape& s = GetParam().shape;
  const Arrays arrays(s);
  set_threads(1);
  const auto one = all_directions(Cpu{}, s, arrays);
  set_threads(3);
  const auto three = all_directions(Cpu{}, s, arrays);
  set_threads(0);
  EXPECT_EQ(one, three);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, DenseKernel,
    testing::Values(DenseCase{"small", {3, 5, 2}}, DenseCase{"one_unit", {7, 50, 1}},
                    DenseCase{"one_row", {1, 300, 11}}, DenseCase{"one_input", {5, 1, 6}},
                    DenseCase{"ragged", {33, 2071, 37}}, DenseCase{"long_depth", {6, 9001, 19}}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace fettle
