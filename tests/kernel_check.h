// A kernel on the CPU beside its double-precision definition.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "engine/error.h"
#include "kernels/parallel.h"
#include "tests/random_values.h"

namespace fettle {

using Arrays = std::vector<std::vector<float>>;

/// Memory that holds NaN, so that an element that a kernel leaves out shows.
inline std::vector<float> unwritten(int64_t n) {
  return std::vector<float>(static_cast<size_t>(n), NAN);
}

/// f(device) gives a kernel's outputs: expects the same bits on the CPU with one and three threads,
/// and the values of the reference.
template <class F>
void expect_same(const F& f, const std::string& what, double tolerance = 1e-6) {
  set_threads(1);
  const Arrays one = f(Cpu{});
  set_threads(3);
  EXPECT_EQ(f(Cpu{}), one) << what;
  set_threads(0);
  const Arrays reference = f(Reference{});
  for (size_t i = 0; i < one.size(); ++i) {
    EXPECT_LT(relative_error(one[i], reference[i]), tolerance) << what << ", output " << i;
  }
}

}  // namespace fettle
