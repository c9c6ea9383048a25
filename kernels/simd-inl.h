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

#if HWY_TARGET <= HWY_AVX2
/// The mask of a vector's first `count` floats.
HWY_INLINE hn::Mask<Lanes> first_floats(int64_t count) {
  return hn::FirstN(lanes_tag, static_cast<size_t>(std::max<int64_t>(count, 0)));
}
#endif

/// The first `count` floats at p, at most a vector of them; zeros beyond.
HWY_INLINE Vec load(const float* p, int64_t count) {
  if (HWY_LIKELY(count >= L)) return hn::LoadU(lanes_tag, p);
#if HWY_TARGET == HWY_SCALAR
  return hn::Zero(lanes_tag);
#elif HWY_TARGET <= HWY_AVX2  // few instructions, which counts since this stands in every tile
  return hn::MaskedLoad(first_floats(count), lanes_tag, p);
#else
  alignas(64) float tail[L] = {};
  std::copy_n(p, count, tail);
  return hn::Load(lanes_tag, tail);
#endif
}

/// Writes the first `count` floats of v, at most all of them.
HWY_INLINE void store(Vec v, float* p, int64_t count) {
  if (HWY_LIKELY(count >= L)) return hn::StoreU(v, lanes_tag, p);
#if HWY_TARGET <= HWY_AVX2
  hn::BlendedStore(v, first_floats(count), lanes_tag, p);
#elif HWY_TARGET != HWY_SCALAR
  if (count <= 0) return;
  alignas(64) float tail[L];
  hn::Store(v, lanes_tag, tail);
  std::copy_n(tail, count, p);
#endif
}

/// y[i] = f(in[i]...) for n elements.
template <class F, class... In>
HWY_INLINE void map(const F& f, int64_t n, float* y, const In*... in) {
  for (int64_t i = 0; i < n; i += L) store(f(load(in + i, n - i)...), y + i, n - i);
}

}  // namespace HWY_NAMESPACE
}  // namespace fettle
HWY_AFTER_NAMESPACE();

#endif  // include guard
