// A kernel on the CPU beside its double-precision definition.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine/error.h"
#include "kernels/parallel.h"
#include "tests/random_values.h"

#if defined(FETTLE_SIMT)
#include "tests/simt/executor.h"
#endif

namespace fettle {

using Arrays = std::vector<Array<>>;

/// Memory that holds NaN, so that an element that a kernel leaves out shows.
inline Array<> unwritten(int64_t n) {
  return Array<>(static_cast<size_t>(n), NAN);
}

inline void expect_close(const Arrays& ours, const Arrays& reference, const std::string& what,
                         double tolerance) {
  ASSERT_EQ(ours.size(), reference.size());
  for (size_t i = 0; i < ours.size(); ++i) {
    EXPECT_LT(relative_error(ours[i], reference[i]), tolerance) << what << ", output " << i;
  }
}

/// f(Cuda{}) on the executor in three orders of its threads, or twice on a GPU: the same bits each
/// time. Returns them; nothing where there is no GPU.
template <class F>
std::optional<Arrays> run_on_gpu(const F& f, const std::string& what) {
#if defined(FETTLE_CUDA)
  if (!gpu_is_there()) return {};
#if defined(FETTLE_SIMT)
  simt::options().order = simt::Order::forward;
#endif
  try {
    const Arrays first = f(Cuda{});
#if defined(FETTLE_SIMT)
    for (const simt::Order order : {simt::Order::backward, simt::Order::random}) {
      simt::options().order = order;
      EXPECT_TRUE(f(Cuda{}) == first) << what << ": other bits in another order of the threads";
    }
#else
    EXPECT_TRUE(f(Cuda{}) == first) << what << ": other bits when run again";
#endif
    return first;
  } catch (const std::exception& error) {
    ADD_FAILURE() << what << " on the GPU: " << error.what();
  }
#endif
  return {};
}

/// f(device) gives a kernel's outputs: expects the same bits on the CPU with one and three threads,
/// and the values of the reference there and on the GPU.
template <class F>
void expect_same(const F& f, const std::string& what, double tolerance = 1e-6) {
  set_threads(1);
  const Arrays one = f(Cpu{});
  set_threads(3);
  EXPECT_TRUE(f(Cpu{}) == one) << what << ": other bits with other threads";
  set_threads(0);
  const Arrays reference = f(Reference{});
  expect_close(one, reference, what, tolerance);
  if (const auto gpu = run_on_gpu(f, what))
    expect_close(*gpu, reference, what + " (GPU)", tolerance);
}

}  // namespace fettle
