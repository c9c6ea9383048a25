#include "kernels/conv2d/conv2d.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/parallel.h"
#include "tests/cases/conv2d.h"
#include "tests/random_values.h"

namespace fettle {
namespace {

constexpr double tolerance = 1e-6;

struct Arrays {
  explicit Arrays(const Conv2dShape& s)
      : x(random_values(s.N * s.H * s.W * s.C, 1)),
        w(random_values(s.K * s.R * s.S * (s.C / s.groups), 2)),
        bias(random_values(s.K, 3)),
        dy(random_values(s.N * s.P * s.Q * s.K, 4)) {}
  std::vector<float> x, w, bias, dy;
};

/// Every direction, into memory that held NaN.
template <class Device>
std::vector<std::vector<float>> all_directions(Device device, const Conv2dShape& s,
                                               const Arrays& a) {
  std::vector<float> linear(a.dy.size(), NAN), relu(a.dy.size(), NAN), dx(a.x.size(), NAN),
      dw(a.w.size(), NAN);
  conv2d_forward(device, s, a.x.data(), a.w.data(), nullptr, Epilogue::linear, linear.data());
  conv2d_forward(device, s, a.x.data(), a.w.data(), a.bias.data(), Epilogue::relu, relu.data());
  conv2d_backward_input(device, s, a.dy.data(), a.w.data(), dx.data());
  conv2d_backward_weight(device, s, a.dy.data(), a.x.data(), dw.data());
  return {linear, relu, dx, dw};
}

class Conv2dKernel : public testing::TestWithParam<Conv2dCase> {};

TEST_P(Conv2dKernel, EqualsTheDoublePrecisionDefinition) {
  const Conv2dShape& s = GetParam().shape;
  const Arrays arrays(s);
  const auto ours = all_directions(Cpu{}, s, arrays);
  const auto reference = all_directions(Reference{}, s, arrays);
  const char* directions[] = {"forward", "forward+bias+relu", "backward_input", "backward_weight"};
  for (size_t i = 0; i < ours.size(); ++i) {
    EXPECT_LT(relative_error(ours[i], reference[i]), tolerance) << directions[i];
  }
}

TEST_P(Conv2dKernel, GivesTheSameBitsWithAnyNumberOfThreads) {
  const Conv2dShape& s = GetParam().shape;
  const Arrays arrays(s);
  set_threads(1);
  const auto one = all_directions(Cpu{}, s, arrays);
  set_threads(3);
  const auto three = all_directions(Cpu{}, s, arrays);
  set_threads(0);
  EXPECT_EQ(one, three);
}

INSTANTIATE_TEST_SUITE_P(Cases, Conv2dKernel, testing::ValuesIn(conv2d_cases()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace fettle
