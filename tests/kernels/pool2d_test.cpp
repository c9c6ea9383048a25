#include "kernels/pool2d/pool2d.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/cases/pool2d.h"
#include "tests/kernel_check.h"

namespace fettle {
namespace {

struct Inputs {
  explicit Inputs(const Pool2dShape& s)
      : x(random_values(s.N * s.H * s.W * s.C, 1)), dy(random_values(s.N * s.P * s.Q * s.C, 2)) {
    for (float& value : x) value = std::round(value * 2);  // with ties
  }
  Array<> x, dy;
};

template <class Device>
Arrays all(Device device, const Pool2dShape& s, const Inputs& a) {
  Array<> max(a.dy.size(), NAN), alone = max, average = max, dmax(a.x.size(), NAN), daverage = dmax;
  Array<uint8_t> places(a.dy.size() * static_cast<size_t>(bytes_a_place(s)), 255);
  max_pool2d_forward(device, s, a.x.data(), max.data(), places.data());
  max_pool2d_forward(device, s, a.x.data(), alone.data());
  average_pool2d_forward(device, s, a.x.data(), average.data());
  max_pool2d_backward(device, s, places.data(), a.dy.data(), dmax.data());
  Array<> added = a.x;
  max_pool2d_backward(device, s, places.data(), a.dy.data(), added.data(), true);
  average_pool2d_backward(device, s, a.dy.data(), daverage.data());
  return {max, alone, {places.begin(), places.end()}, average, dmax, added, daverage};
}

class Pool2dKernel : public testing::TestWithParam<Pool2dCase> {};

TEST_P(Pool2dKernel, EqualsTheDefinitionWithAnyNumberOfThreads) {
  const Pool2dShape& s = GetParam().shape;
  const Inputs inputs(s);
  expect_same([&](auto device) { return all(device, s, inputs); }, GetParam().name);
}

INSTANTIATE_TEST_SUITE_P(Cases, Pool2dKernel, testing::ValuesIn(pool2d_cases()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace fettle
