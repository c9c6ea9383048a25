// An enlarged tensor that only a concatenation reads is never written: the same results and
// gradients as by itself, and less memory.
#include "engine/memory.h"
#include "engine/ops/activation.h"
#include "engine/ops/arithmetic.h"
#include "engine/ops/cast.h"
#include "engine/ops/concatenate.h"
#include "engine/ops/upsample2d.h"
#include "tests/gradient_check.h"
#include "tests/stored_values.h"

namespace fettle {
namespace {

struct Results {
  std::vector<float> y, dx, dskip;
  bool operator==(const Results&) const = default;
};

Results results(Upsampling how, DType dtype, bool late) {
  Tensor leaves[] = {random_tensor({2, 3, 5, 8}, 1), random_tensor({2, 6, 10, 16}, 2)};
  for (Tensor& leaf : leaves) leaf.set_requires_grad(true);
  const Tensor enlarged = upsample2d(cast(leaves[0], dtype), {2, 2}, how);
  EXPECT_TRUE(enlarged.pending());
  if (!late) enlarged.compute();
  const Tensor y = cast(concatenate({enlarged, cast(leaves[1], dtype)}), DType::f32);
  EXPECT_EQ(enlarged.pending() != nullptr, late);
  backward_with(y, random_tensor(y.shape(), 3));
  return {y.to_vector(), leaves[0].grad().to_vector(), leaves[1].grad().to_vector()};
}

TEST(LateConcatenation, GivesTheSameBits) {
  for (const Upsampling how : {Upsampling::nearest, Upsampling::bilinear}) {
    EXPECT_EQ(results(how, DType::f32, true), results(how, DType::f32, false));
    if (test_device().is_cuda()) {
      EXPECT_EQ(results(how, DType::bf16, true), results(how, DType::bf16, false));
    }
  }
}

TEST(LateConcatenation, GradientsOfAllReadersAreTheNumericalOnes) {
  const std::vector<Tensor> inputs = {random_tensor({1, 2, 3, 4}, 1),
                                      random_tensor({1, 4, 6, 2}, 2)};
  for (const Upsampling how : {Upsampling::nearest, Upsampling::bilinear}) {
    // Read by two concatenations, where it comes first and last, and by itself.
    expect_gradients(
        [&](const std::vector<Tensor>& in) {
          const Tensor up = upsample2d(in[0], {2, 2}, how);
          const Tensor both = concatenate({up, in[1], up});
          return both + concatenate({swish(up), in[1], up * up});
        },
        inputs, 5e-3);
  }
}

TEST(LateConcatenation, TheEnlargedTensorIsNeverWritten) {
  const Tensor x = random_tensor({1, 32, 32, 16}, 1), skip = random_tensor({1, 64, 64, 16}, 2);
  const Device device = test_device();
  release_cached_memory(device);
  reset_peak_memory(device);
  const int64_t before = memory_stats(device).current;
  const Tensor y = concatenate({upsample2d(x), skip});
  EXPECT_EQ(memory_stats(device).peak - before, static_cast<int64_t>(y.bytes()));
}

}  // namespace
}  // namespace fettle
