#include "kernels/pool2d/pool2d.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/parallel.h"
#include "tests/cases/pool2d.h"
#include "tests/random_values.h"

namespace fettle {
namespace {

struct Arrays {
  explicit Arrays(const Pool2dShape& s)
      : x(random_values(s.N * s.H * s.W * s.C, 1)), dy(random_values(s.N * s.P * s.Q * s.C, 2)) {
    for (float& value : x) value = std::round(value * 2);  // with ties
  }
  std::vector<float> x, dy;
};

template <class Device>
std::vector<std::vector<float>> all(Device device, const Pool2dShape& s, const Arrays& a) {
  std::vector<float> max(a.dy.size(), NAN), average(a.dy.size(), NAN), dmax(a.x.size(), NAN),
      daverage(a.x.size(), NAN);
  max_pool2d_forward(device, s, a.x.data(), max.data());
  average_pool2d_forward(device, s, a.x.data(), average.data());
  max_pool2d_backward(device, s, a.x.data(), a.dy.data(), dmax.data());
  average_pool2d_backward(device, s, a.dy.data(), daverage.data());
  return {max, average, dmax, daverage};
}

class Pool2dKernel : public testing::TestWithParam<Pool2dCase> {};

TEST_P(Pool2dKernel, EqualsTheDoublePrecisionDefinition) {
  const Pool2dShape& s = GetParam().shape;
  const Arrays arrays(s);
  const auto ours = all(Cpu{}, s, arrays), reference = all(Reference{}, s, arrays);
  EXPECT_EQ(ours[0], reference[0]) << "max forward";
  for (size_t i = 1; i < ours.size(); ++i) {
    EXPECT_LT(relative_error(ours[i], reference[i]), 1e-6) << i;
  }
}

TEST_P(Pool2dKernel, GivesTheSameBitsWithAnyNumberOfThreads) {
  const Pool2dShape& s = GetParam().shape;
  const Arrays arrays(s);
  set_threads(1);
  const auto one = all(Cpu{}, s, arrays);
  set_threads(3);
  const auto three = all(Cpu{}, s, arrays);
  set_threads(0);
  EXPECT_EQ(one, three);
}

INSTANTIATE_TEST_SUITE_P(Cases, Pool2dKernel, testing::ValuesIn(pool2d_cases()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace fettle
