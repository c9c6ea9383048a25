// Every rung of batch normalisation's reductions, on the executor or on a GPU.
#if defined(FETTLE_CUDA)

#include <gtest/gtest.h>

#include "kernels/batch_norm/rungs.h"
#include "tests/batch_norm_values.h"

namespace fettle {
namespace {

TEST(BatchNormRungs, EqualTheDefinition) {
  if (!gpu_is_there()) GTEST_SKIP() << "no GPU";
  for (const auto& [rows, C] :
       {std::pair<int64_t, int64_t>{1, 3}, {2, 1}, {33, 5}, {120, 33}, {300, 2}}) {
    for (const float centre : {0.0f, 1e4f}) {
      for (const auto second : BatchNormValues::seconds) {
        const BatchNormShape s{rows, C};
        const BatchNormValues values(s, second, centre);
        const auto compute = [&](auto device, auto... rung) {
          Arrays out = values.outputs(device, Epilogue::relu, true, rung...);
          out.insert(out.end(), {unwritten(C), unwritten(C)});
          batch_norm_statistics(device, rung..., s, values.x[0].data(), out.end()[-2].data(),
                                out.end()[-1].data());
          return out;
        };
        const Arrays reference = compute(Reference{});
        for (const BatchNormRung rung :
             {BatchNormRung::column_a_thread, BatchNormRung::two_stage}) {
          const std::string what = cat("rung ", static_cast<int>(rung), ", ", rows, "x", C,
                                       " about ", centre, ", second ", static_cast<int>(second));
          const auto ours = run_on_gpu([&](Cuda device) { return compute(device, rung); }, what);
          ASSERT_TRUE(ours);
          expect_close(*ours, reference, what, centre == 0 ? 1e-5 : 1e-3);
        }
      }
    }
  }
}

}  // namespace
}  // namespace fettle

#endif
