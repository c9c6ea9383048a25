#include "kernels/elementwise/elementwise.h"

#include "kernels/parallel.h"

// The body below is compiled once for every instruction set and chosen at run time: plain loops
// become AVX-512, AVX2 or SSE2 as the machine allows.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/elementwise/cpu.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace fettle {
namespace HWY_NAMESPACE {
namespace {

void add_range(int64_t begin, int64_t end, const float* a, const float* b, float* y) {
  for (int64_t i = begin; i < end; ++i) y[i] = a[i] + b[i];
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace fettle
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fettle {

HWY_EXPORT(add_range);

namespace {
constexpr int64_t grain = 1 << 15;  // 128 KiB an array: one chunk of each fits the L2 cache
}  // namespace

void add(Cpu, int64_t n, const float* a, const float* b, float* y) {
  const auto range = HWY_DYNAMIC_DISPATCH(add_range);
  parallel_for(n, grain, [&](int64_t begin, int64_t end) { range(begin, end, a, b, y); });
}

}  // namespace fettle
#endif  // HWY_ONCE
