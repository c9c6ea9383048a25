// Every rung of batch normalisation's reductions, on the executor or on a GPU.
#if defined(FETTLE_CUDA)

#include <gtest/gtest.h>

#include "kernels/batch_norm/rungs.h"
#include "tests/kernel_check.h"

namespace fettle {
namespace {

TEST(BatchNormRungs, EqualTheDefinition) {
  if (!gpu_is_there()) GTEST_SKIP() << "no GPU";
  for (const auto& [rows, C] :
       {std::pair<int64_t, int64_t>{1, 3}, {2, 1}, {33, 5}, {600, 33}, {1000, 2}, {257, 64}}) {
    for (const float centre : {0.0f, 1e4f}) {  // deviation 1 about it
      const BatchNormShape s{rows, C};
      Array<> x = random_values(rows * C, 1);
      for (float& value : x) value += centre;
      const Array<> dy = random_values(rows * C, 2);
      // The gradients from given statistics: an error of the mean must not be counted twice.
      Arrays given = {unwritten(C), unwritten(C)};
      batch_norm_statistics(Reference{}, s, x.data(), given[0].data(), given[1].data());
      const auto compute = [&](auto device, auto... rung) {
        Arrays out = {unwritten(C), unwritten(C), unwritten(C), unwritten(C)};
        batch_norm_statistics(device, rung..., s, x.data(), out[0].data(), out[1].data());
        batch_norm_backward_parameters(device, rung..., s, 1e-3f, dy.data(), x.data(),
                                       given[0].data(), given[1].data(), out[2].data(),
                                       out[3].data());
        return out;
      };
      const Arrays reference = compute(Reference{});
      for (const BatchNormRung rung : {BatchNormRung::column_a_thread, BatchNormRung::two_stage}) {
        const std::string what =
            cat("rung ", static_cast<int>(rung), ", ", rows, "x", C, " about ", centre);
        const auto ours = run_on_gpu([&](Cuda device) { return compute(device, rung); }, what);
        ASSERT_TRUE(ours);
        expect_close(*ours, reference, what, centre == 0 ? 1e-5 : 1e-3);
      }
    }
  }
}

}  // namespace
}  // namespace fettle

#endif
