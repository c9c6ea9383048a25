#include "kernels/concatenate/concatenate.h"

#include <algorithm>

#include "kernels/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/concatenate/cpu.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fettle {
namespace HWY_NAMESPACE {
namespace {

/// Rows are often a few vectors long, where a call of memcpy takes longer than what it copies.
void copy_rows(int64_t rows, int64_t width, const float* from, int64_t from_width, float* to,
               int64_t to_width) {
  for (int64_t i = 0; i < rows; ++i, from += from_width, to += to_width)
    map([](Vec value) { return value; }, width, to, from);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace fettle
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fettle {

HWY_EXPORT(copy_rows);

void copy_columns(Cpu, int64_t rows, int64_t width, const float* from, int64_t from_width,
                  float* to, int64_t to_width) {
  const auto copy = HWY_DYNAMIC_DISPATCH(copy_rows);
  const int64_t grain = std::max<int64_t>(1, (1 << 15) / std::max<int64_t>(1, width));
  parallel_for(rows, grain, [&](int64_t begin, int64_t end) {
    copy(end - begin, width, from + begin * from_width, from_width, to + begin * to_width,
         to_width);
  });
}

}  // namespace fettle
#endif  // HWY_ONCE
