// Vectors of floats and loops over arrays, on top of Highway. Included once for every instruction
// set (see hwy/foreach_target.h), hence the toggling guard.
#if defined(FETTLE_KERNELS_SIMD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FETTLE_KERNELS_SIMD_INL_H_
#undef FETTLE_KERNELS_SIMD_INL_H_
#else
#define FETTLE_KERNELS_SIMD_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace fettle {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Lanes = HWY_FULL(float);
using Vec = hn::Vec<Lanes>;
inline constexpr Lanes lanes_tag;
/// Floats a vector; fixed for every target that fettle is built for.
inline constexpr int64_t L = HWY_LANES(float);

/// 1 / (1 + exp(-x)), without overflow at either end.
HWY_INLINE Vec sigmoid(Vec x) {
  const Vec one = hn::Set(lanes_tag, 1.0f);
  const Vec e = hn::Exp(lanes_tag, hn::Neg(hn::Abs(x)));  // at most 1
  const Vec numerator = hn::IfThenElse(hn::Lt(x, hn::Zero(lanes_tag)), e, one);
  return hn::Div(numerator, hn::Add(one, e));
}

/// y[i] = f(in[i]...) for n elements; the tail goes through a padded vector.
template <class F, class... In>
HWY_INLINE void map(const F& f, int64_t n, float* y, const In*... in) {
  int64_t i = 0;
  for (; i + L <= n; i += L) hn::StoreU(f(hn::LoadU(lanes_tag, in + i)...), lanes_tag, y + i);
  if (i == n) return;
  const auto padded = [&](const float* from) {
    alignas(64) float tail[L] = {};
    std::copy(from + i, from + n, tail);
    return hn::Load(lanes_tag, tail);
  };
  alignas(64) float result[L];
  hn::Store(f(padded(in)...), lanes_tag, result);
  std::copy_n(result, n - i, y + i);
}

}  // namespace HWY_NAMESPACE
}  // namespace fettle
HWY_AFTER_NAMESPACE();

#endif  // include guard
